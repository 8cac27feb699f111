"""What a run printed: of one that has ended as its record has it, of one in progress as it comes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from ..records import Record
from .live import is_alive
from .store import Store

Stream: TypeAlias = Literal["stdout", "stderr"]
STREAMS: tuple[Stream, ...] = ("stdout", "stderr")

_POLL_S = 0.1


class Printed(NamedTuple):
    """Bytes that a run wrote to one of its streams."""

    stream: Stream
    data: bytes


def read_console(store: Store, record: Record, stream: Stream) -> bytes:
    """All that the run has written to the stream so far. Raises ObjectNotFoundError, DamageError."""
    live = store.live(record)
    if record.status in ("running", "lost") and live.path.exists():
        return _read_from(_file(store, record, stream), 0)
    if record.status == "running":  # it has ended since the record was read
        record = store.get(record.number)
    content = record.stdout if stream == "stdout" else record.stderr
    return store.read_content(content)


def follow_console(
    store: Store, record: Record, *, streams: Sequence[Stream] = STREAMS
) -> Iterator[Printed]:
    """What the run writes, from its beginning on, as it comes; ends when the run ends.

    What comes within a tenth of a second on both streams is in the order of `streams`.
    """
    said = dict.fromkeys(streams, 0)
    live = store.live(record).path
    while record.status == "running" and is_alive(live):
        for stream in streams:
            data = _read_from(_file(store, record, stream), said[stream])
            said[stream] += len(data)
            if data:
                yield Printed(stream, data)
        time.sleep(_POLL_S)
    # What the record holds begins with what the live file held.
    record = store.get(record.number)
    for stream in streams:
        if rest := read_console(store, record, stream)[said[stream] :]:
            yield Printed(stream, rest)


def _file(store: Store, record: Record, stream: Stream) -> Path:
    live = store.live(record)
    return live.stdout if stream == "stdout" else live.stderr


def _read_from(path: Path, offset: int) -> bytes:
    """The file's bytes from `offset` on, none where its run has ended: it may be another's by now."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read()
            return data if os.path.samestat(os.fstat(file.fileno()), path.stat()) else b""
    except FileNotFoundError:
        return b""
