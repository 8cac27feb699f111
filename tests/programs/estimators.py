"""Four scikit-learn estimators on bundled data sets: a threaded forest, boosting, a grid search, and k-means."""

import joblib
import numpy as np
from sklearn.cluster import KMeans
from sklearn.datasets import load_diabetes, load_digits
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.metrics import confusion_matrix, mean_squared_error
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from recorder import log, record, save


def forest(x, x_test, y, y_test, *, trees: int):
    model = RandomForestClassifier(trees, n_jobs=2).fit(x, y)
    save(confusion_matrix(y_test, model.predict(x_test)), name="confusion")
    save(model.feature_importances_, name="importances")
    joblib.dump(model, "forest.joblib")
    return model.score(x_test, y_test)


def boosting(*, trees: int):
    x, y = load_diabetes(return_X_y=True)
    x, x_test, y, y_test = train_test_split(x, y, random_state=1)
    model = GradientBoostingRegressor(n_estimators=trees, subsample=0.7).fit(x, y)
    for step, predicted in enumerate(model.staged_predict(x_test)):
        log(step=step, mse=mean_squared_error(y_test, predicted))
    np.savetxt("predictions.csv", predicted, header="predicted", comments="", fmt="%.17g")
    return mean_squared_error(y_test, predicted)


def support_vectors(x, x_test, y, y_test):
    grid = {"svc__C": [0.1, 1, 10], "svc__gamma": [0.001, 0.01]}
    search = GridSearchCV(make_pipeline(StandardScaler(), SVC()), grid, cv=3).fit(x, y)
    save(search.cv_results_["mean_test_score"], name="scores")
    return {"best": search.best_params_, "accuracy": search.score(x_test, y_test)}


def clusters(x, *, k: int):
    model = KMeans(k, n_init=4).fit(x)
    np.savez("clusters.npz", centers=model.cluster_centers_, labels=model.labels_)
    return {"inertia": model.inertia_, "sizes": np.bincount(model.labels_)}


@record
def estimators(images: int = 600, trees: int = 60):
    """Fit all estimators; the global generator splits the digits and seeds the models."""
    x, y = load_digits(return_X_y=True)
    halves = train_test_split(x[:images], y[:images], test_size=0.5)
    return {
        "forest": forest(*halves, trees=trees),
        "boosting": boosting(trees=trees),
        "support vectors": support_vectors(*halves),
        "clusters": clusters(x, k=10),
    }


if __name__ == "__main__":
    estimators()
