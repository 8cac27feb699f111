"""A classifier on scikit-learn's bundled digits: one result, a confusion matrix, a report.

python examples/digits.py
recorder run examples/digits.py:classify trees=50
recorder replay last
"""

from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import accuracy_score, classification_report, confusion_matrix
from sklearn.model_selection import train_test_split

from recorder import log, record, save


@record
def classify(trees: int = 100, depth: int | None = None, test_size: float = 0.25, seed: int = 0):
    images, labels = load_digits(return_X_y=True)
    split = train_test_split(
        images, labels, test_size=test_size, random_state=seed, stratify=labels
    )
    train_x, test_x, train_y, test_y = split

    forest = RandomForestClassifier(n_estimators=trees, max_depth=depth, random_state=seed)
    forest.fit(train_x, train_y)
    predicted = forest.predict(test_x)

    accuracy = accuracy_score(test_y, predicted)
    log(accuracy=accuracy, train_accuracy=forest.score(train_x, train_y))
    save(predicted, name="predictions")
    save(confusion_matrix(test_y, predicted), name="confusion")
    print(classification_report(test_y, predicted))
    return {"accuracy": accuracy, "errors": int((predicted != test_y).sum())}


if __name__ == "__main__":
    classify()
