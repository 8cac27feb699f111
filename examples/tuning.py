"""Tune a classifier on scikit-learn's digits: a grid of hyperparameters, each with several seeds.

recorder run examples/tuning.py:tune C=1,10 gamma=0.001,0.01 --repeat 3 -j 2
recorder list --group-by C,gamma --sort -accuracy
python examples/tuning.py --kernel rbf,poly --preset quick
"""

from typing import Literal

from sklearn.datasets import load_digits
from sklearn.metrics import confusion_matrix
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC

from recorder import log, record, save


@record
def tune(
    C: float = 1.0,
    gamma: float = 0.001,
    kernel: Literal["rbf", "poly"] = "rbf",
    images: int = 1797,
    seed: int = 0,
) -> dict[str, float]:
    """Fit a support vector machine; the seed decides the split into training and test data."""
    data, labels = load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(
        data[:images], labels[:images], test_size=0.3, random_state=seed, stratify=labels[:images]
    )
    machine = SVC(C=C, gamma=gamma, kernel=kernel).fit(train_x, train_y)
    accuracy = machine.score(test_x, test_y)
    log(accuracy=accuracy, train_accuracy=machine.score(train_x, train_y))
    save(confusion_matrix(test_y, machine.predict(test_x)), name="confusion")
    return {"accuracy": accuracy, "support_vectors": int(machine.n_support_.sum())}


@tune.preset
def quick() -> dict[str, int]:
    """Use a third of the images."""
    return {"images": 600}


if __name__ == "__main__":
    tune.main()
