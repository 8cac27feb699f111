"""Records and runs in a store, without an experiment that records them."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from recorder.records import Function, Record, new_id
from recorder.store.live.live import Live
from recorder.store.store import RunStore


def fresh(name: str = "f", **fields: Any) -> Record:
    """Return the record of a run that is about to begin."""
    function = Function(module="m", qualname=name)
    defaults = {"id": new_id(), "started": datetime.now(timezone.utc), **fields}
    return Record(experiment=name, function=function, **defaults)


def begin(store: RunStore, **fields: Any) -> tuple[Record, Live]:
    """Begin a run; return its record and its live folder."""
    live = store.reserve()
    return store.begin(fresh(id=live.id, **fields)), live
