"""Read or follow the console of a run, ended or in progress."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

from ...errors import DamageError
from ...formats.compression import compress, unpack
from ...records import Record, StoredBytes
from ..filesystem.disk import is_regular, open_regular
from ..live.live import is_alive
from ..store import INLINE_BYTES, RunStore
from .timeline import STREAMS, Printed, Stream, Timeline

_POLL_S = 0.1
_Part: TypeAlias = Literal["stdout", "stderr", "arrivals"]


def read_console(store: RunStore, record: Record, stream: Stream) -> bytes:
    """Return everything that the run has written to the stream so far. Raises ObjectNotFoundError, DamageError."""
    return _read(store, record, stream)


def read_printed(
    store: RunStore, record: Record, *, streams: Sequence[Stream] = STREAMS
) -> Iterator[Printed]:
    """Yield the output to the streams in the order of arrival; without a console index, one stream after the other.

    Raises ObjectNotFoundError, DamageError.
    """
    # The index is read after the streams, so that it covers everything that was read of a run in progress.
    parts = [(stream, 0, _read(store, record, stream)) for stream in streams]
    timeline = Timeline()
    timeline.add(_read(store, record, "arrivals"))
    return timeline.order(*parts)


def follow_console(
    store: RunStore, record: Record, *, streams: Sequence[Stream] = STREAMS
) -> Iterator[Printed]:
    """Yield the output of the run from its beginning, as it arrives, until the run ends."""
    offsets = dict.fromkeys(streams, 0)
    live, timeline, known = store.live(record), Timeline(), 0
    while record.status == "running" and is_alive(live.path):
        parts = [(s, offsets[s], _read_from(_file(store, record, s), offsets[s])) for s in streams]
        known += timeline.add(_read_from(live.arrivals, known))
        for printed in timeline.order(*parts):
            offsets[printed.stream] += len(printed.data)
            yield printed
        time.sleep(_POLL_S)
    # The content of the record begins with that of the live files.
    record = store.get(record.number)
    timeline.add(_read(store, record, "arrivals")[known:])
    parts = [(s, offsets[s], _read(store, record, s)[offsets[s] :]) for s in streams]
    yield from timeline.order(*parts)


def keep_arrivals(store: RunStore, path: Path) -> StoredBytes | None:
    """Store a complete console index for a record, gzipped if it is large."""
    size_bytes = path.stat().st_size if is_regular(path) else 0
    if size_bytes <= INLINE_BYTES:
        return store.keep(path.read_bytes()) if size_bytes else None
    packed = path.with_name(f"{path.name}.gz")
    compress(path, packed)
    return store.keep_file(packed)


def _read(store: RunStore, record: Record, part: _Part) -> bytes:
    if record.status in ("running", "lost") and store.live(record).is_there():
        return _read_from(_file(store, record, part), 0)
    if record.status == "running":  # the run has ended since its record was read
        record = store.get(record.number)
    contents = {"stdout": record.stdout, "stderr": record.stderr, "arrivals": record.arrivals}
    data = store.read_content(contents[part])
    try:
        return unpack(data, what="the console index") if part == "arrivals" else data
    except ValueError as error:
        raise DamageError(f"run {record.number}: {error}", path=store.path) from error


def _file(store: RunStore, record: Record, part: _Part) -> Path:
    live = store.live(record)
    return {"stdout": live.stdout, "stderr": live.stderr, "arrivals": live.arrivals}[part]


def _read_from(path: Path, offset: int) -> bytes:
    """Return the bytes of the file from `offset` on, none if its run has ended: the next run may reuse the file."""
    try:
        with open(open_regular(path), "rb") as file:  # noqa: PTH123
            file.seek(offset)
            data = file.read()
            return data if os.path.samestat(os.fstat(file.fileno()), path.stat()) else b""
    except OSError:  # gone, or not a regular file
        return b""
