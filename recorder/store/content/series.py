"""The points of a run's metrics: of one that has ended as its record has them, of one in progress those so far."""

from __future__ import annotations

from ...formats.points import Point, parse_series, read_points
from ...records import Record
from ..store import RunStore


def read_series(store: RunStore, record: Record) -> dict[str, list[Point]]:
    """The points of each metric by its name. Raises ObjectNotFoundError, DamageError, and ValueError for no points."""
    live = store.live(record).series
    if record.series is None and record.status == "running" and live.exists():
        return parse_series(live.read_text(encoding="utf-8", errors="replace"))
    return read_points(store.read_content(record.series)) if record.series is not None else {}
