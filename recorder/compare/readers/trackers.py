"""Files of experiment trackers, compared without the clock, the host and the ids that trackers write next to content.

Sources: https://mlflow.org/docs/latest/self-hosting/architecture/backend-store, file store;
https://sacred.readthedocs.io/en/stable/observers.html, FileStorageObserver; https://docs.wandb.ai, wandb-summary.json.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from ...codec import Difference
from .pair import ByteSource, Pair, UnreadableError
from .tables import compare_rows, typed_cell

# mlruns/EXPERIMENT/RUN/metrics/NAME: one line "TIME_MS VALUE STEP" per point.
MLFLOW_METRIC = re.compile(r"(?:^|/)mlruns/[^/]+/[^/]+/metrics/.+$")
_SACRED_RUN = frozenset(("experiment", "heartbeat", "host", "start_time", "status"))
_SACRED_METRIC = frozenset(("steps", "timestamps", "values"))
_WANDB_SUMMARY = re.compile(r"(?:^|/)wandb-summary\.json$")


def compare_mlflow_metric(pair: Pair) -> Iterable[Difference]:
    """Compare the points of a metric of MLflow, without their times."""
    return compare_rows(pair, ["value", "step"], _points(pair.a), _points(pair.b), typed=typed_cell)


def _points(side: ByteSource) -> Iterator[list[str]]:
    for line in side.text().splitlines():
        cells = line.split(" ")
        if len(cells) < 3:
            raise UnreadableError("a line is not a point of an MLflow metric")
        yield cells[1:3]


def without_clock(name: str, document: Any) -> Any:
    """Return a JSON document, without the clock and the host if it is a record of Sacred or a summary of wandb."""
    if not isinstance(document, dict) or not document:
        return document
    if document.keys() >= _SACRED_RUN:
        return {key: document.get(key) for key in ("command", "status", "result")}
    if all(isinstance(v, dict) and v.keys() == _SACRED_METRIC for v in document.values()):
        return {name: [m["steps"], m["values"]] for name, m in document.items()}
    if _WANDB_SUMMARY.search(name):
        own = ("_runtime", "_timestamp", "_wandb")
        return {key: value for key, value in document.items() if key not in own}
    return document
