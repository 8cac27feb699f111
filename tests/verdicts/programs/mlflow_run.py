"""A run of MLflow with its file store: parameters, a metric and an artifact."""

import os

import mlflow

os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
mlflow.set_tracking_uri("file:./mlruns")
with mlflow.start_run():
    mlflow.log_param("lr", 0.1)
    for step in range(3):
        mlflow.log_metric("loss", 1 / (step + 1) + ("TWIN" in os.environ) * 1e-3, step=step)
    with open("table.csv", "w") as file:
        file.write("a,b\n1,2\n")
    mlflow.log_artifact("table.csv")
