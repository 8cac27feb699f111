"""Read the metric series of a run, ended or in progress."""

from __future__ import annotations

from ...formats.points import Point, parse_series, read_points
from ...records import Record
from ..filesystem.disk import is_regular, read_regular
from ..store import RunStore


def read_series(store: RunStore, record: Record) -> dict[str, list[Point]]:
    """Return the points of each metric by name, so far if the run is in progress.

    Raises ObjectNotFoundError, DamageError, and ValueError if the stored data is not a series.
    """
    live = store.live(record)
    if record.series is None and record.status == "running" and live.is_there():
        data = read_regular(live.series) if is_regular(live.series) else b""
        return parse_series(data.decode("utf-8", "replace"))
    return read_points(store.read_content(record.series)) if record.series is not None else {}
