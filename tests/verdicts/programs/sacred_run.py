"""An experiment of Sacred with a FileStorageObserver."""

import os

from sacred import SETTINGS, Experiment
from sacred.observers import FileStorageObserver

SETTINGS.CAPTURE_MODE = "sys"
experiment = Experiment("fit")
experiment.observers.append(FileStorageObserver("sacred_runs"))


@experiment.config
def config():
    lr = 0.1
    seed = 0


@experiment.main
def fit(lr, _run):
    for step in range(3):
        _run.log_scalar("loss", lr / (step + 1), step)
    print("fitted")
    return lr + ("TWIN" in os.environ) * 1e-3


experiment.run()
