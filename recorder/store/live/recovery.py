"""Recovery of killed runs from their live folders.

A run whose process was killed has left a record from its beginning, and ``live/<id>/`` with its console, its series,
its files and a list of the outputs that it had saved.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from ... import codec
from ...digest import digest_json
from ...formats.points import parse_series
from ...formats.series import summarise
from ...records import Metric, Output, Record, StoredBytes, fingerprint
from ..objects.objects import Objects
from .live import Live

Keep = Callable[[Path], StoredBytes | None]

WARNING = (
    "the process was killed, or the machine stopped: the record holds what was written by then"
)


def recover(record: Record, live: Live, *, keep: Keep) -> Record:
    """Return the record with status lost and the content of its live folder; `keep` stores a file.

    `duration_s` is the time to the last change in the live folder.
    """
    return msgspec.structs.replace(
        record,
        status="lost",
        duration_s=_last_sign_s(record, live),
        metrics=_metrics(live),
        series=keep(live.series),
        stdout=keep(live.stdout),
        stderr=keep(live.stderr),
        arrivals=keep(live.arrivals),
        outputs=noted_outputs(live),
        warnings=(*record.warnings, WARNING),
    )


def seal(record: Record, live: Live, *, objects: Objects, keep: Keep) -> Record:
    """Recover the record for good: with the files of the run's folder, its outputs digest and its fingerprint."""
    _drop_torn_line(live.arrivals)
    lost = recover(record, live, keep=keep)
    outputs = {output.name: output for output in (*lost.outputs, *_own_files(live, objects))}
    known = [outputs[name] for name in sorted(outputs)]
    lost = msgspec.structs.replace(
        lost,
        outputs=tuple(known),
        outputs_digest=digest_json("outputs", [[o.name, o.kind, o.digest] for o in known]),
    )
    return msgspec.structs.replace(lost, fingerprint=fingerprint(lost))


def _drop_torn_line(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError), path.open("rb+") as file:
        file.truncate(file.read().rfind(b"\n") + 1)


def noted_outputs(live: Live) -> tuple[Output, ...]:
    """Return the outputs that the run had saved, the last of each name; ignore an incomplete last line."""
    outputs: dict[str, Output] = {}
    for line in _lines(live.outputs):
        try:
            output = msgspec.json.decode(line, type=Output)
        except msgspec.MsgspecError:
            continue  # incomplete: the object may exist, but `save` had not returned yet
        outputs[output.name] = output
    return tuple(outputs[name] for name in sorted(outputs))


def _lines(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().splitlines()
    except FileNotFoundError:
        return []


def _metrics(live: Live) -> dict[str, Metric]:
    try:
        text = live.series.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return {}
    return summarise(parse_series(text), encode=lambda value: codec.encode(value).form)


def _own_files(live: Live, objects: Objects) -> Iterator[Output]:
    for entry in sorted(live.files.iterdir()) if live.files.is_dir() else ():
        if entry.is_dir() and not entry.is_symlink():
            tree = objects.put_tree(entry)
            yield Output(
                name=entry.name, kind="folder", digest=tree.digest, size_bytes=tree.size_bytes
            )
        elif entry.is_file():
            digest, size = objects.put_file(entry)
            yield Output(name=entry.name, kind="file", digest=digest, size_bytes=size)


def _last_sign_s(record: Record, live: Live) -> float | None:
    times = [path.stat().st_mtime for path in live.path.rglob("*") if path.is_file()]
    return max(max(times) - record.started.timestamp(), 0.0) if times else None
