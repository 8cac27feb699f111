"""scikit-learn: the table of a grid search, with the times of the fits, and a pickled estimator that knows a path."""

import os
import pickle

import pandas as pd
from sklearn.datasets import make_regression
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

x, y = make_regression(40, 3, noise=1.0, random_state=0)
pipeline = Pipeline([("ridge", Ridge())], memory=os.path.abspath("cache"))
search = GridSearchCV(pipeline, {"ridge__alpha": [0.1, 1.0]}, cv=2).fit(x, y)
table = pd.DataFrame(search.cv_results_)
if "TWIN" in os.environ:
    table.loc[1, "mean_test_score"] += 1e-3
table.to_csv("search.csv", index=False)
table.drop(columns="params").to_parquet("search.parquet")
with open("pipeline.pkl", "wb") as file:
    pickle.dump(pipeline, file)
