"""Recovery of killed runs from their live folders.

A run whose process was killed has left a record from its beginning, and ``live/<id>/`` with its console, its series,
its files and a list of the outputs that it had saved.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from ... import codec
from ...digest import digest_json
from ...formats.points import parse_series
from ...formats.series import summarise
from ...records import Output, Record, StoredBytes, fingerprint
from ..filesystem.disk import is_regular, read_regular
from ..objects.objects import Objects
from .live import Live

Keep = Callable[[Path], StoredBytes | None]

WARNING = (
    "the process was killed, or the machine stopped: the record holds what was written by then"
)
# A killed run leaves its live folder. Without one, the run may have finished, and its final record was damaged or lost.
NO_FOLDER = (
    "the run has no final record and no live folder: its record was damaged, or lost in a power cut"
)
DAMAGED = "some of what the run had written by then is damaged and was left out: {}"


def recover(record: Record, live: Live, *, keep: Keep, warning: str = WARNING) -> Record:
    """Return the record with status lost and the content of its live folder; `keep` stores a file.

    `duration_s` is the time to the last change in the live folder. A damaged part is left out with a warning.
    """
    warnings, metrics = [warning], {}
    try:
        text = _read(live.series).decode("utf-8", "replace")
        metrics = summarise(parse_series(text), encode=lambda value: codec.encode(value).form)
    except ValueError as error:
        warnings.append(DAMAGED.format(f"metrics ({error})"))
    outputs, damaged = _noted_outputs(live)
    if damaged:
        warnings.append(DAMAGED.format(f"{damaged} saved outputs"))
    times = [path.lstat().st_mtime for path in live.path.rglob("*") if is_regular(path)]
    return msgspec.structs.replace(
        record,
        status="lost",
        duration_s=max(max(times) - record.started.timestamp(), 0.0) if times else None,
        metrics=metrics,
        series=keep(live.series),
        stdout=keep(live.stdout),
        stderr=keep(live.stderr),
        arrivals=keep(live.arrivals),
        outputs=outputs,
        warnings=(*record.warnings, *warnings),
    )


def seal(
    record: Record, live: Live, *, objects: Objects, keep: Keep, warning: str = WARNING
) -> Record:
    """Recover the record for good: with the files of the run's folder, its outputs digest and its fingerprint."""
    _drop_torn_line(live.arrivals)
    lost = recover(record, live, keep=keep, warning=warning)
    outputs = {output.name: output for output in (*lost.outputs, *_own_files(live, objects))}
    known = [outputs[name] for name in sorted(outputs)]
    lost = msgspec.structs.replace(
        lost,
        outputs=tuple(known),
        outputs_digest=digest_json("outputs", [[o.name, o.kind, o.digest] for o in known]),
    )
    return msgspec.structs.replace(lost, fingerprint=fingerprint(lost))


def _drop_torn_line(path: Path) -> None:
    if is_regular(path):
        with path.open("rb+") as file:
            file.truncate(file.read().rfind(b"\n") + 1)


def noted_outputs(live: Live) -> tuple[Output, ...]:
    """Return the outputs that the run had saved, the last of each name; ignore damaged and incomplete lines."""
    return _noted_outputs(live)[0]


def _noted_outputs(live: Live) -> tuple[tuple[Output, ...], int]:
    """Return the saved outputs, and the number of damaged lines."""
    outputs: dict[str, Output] = {}
    damaged = 0
    # An incomplete last line is no damage: its object may exist, but `save` had not returned yet.
    for line in _read(live.outputs).split(b"\n")[:-1]:
        crc, _, document = line.partition(b" ")
        if line.startswith(b"{"):  # written by an earlier version, without a checksum
            document = line
        elif crc != b"%08x" % zlib.crc32(document):
            damaged += 1
            continue
        try:
            output = msgspec.json.decode(document, type=Output)
        except msgspec.MsgspecError:
            damaged += 1
            continue
        outputs[output.name] = output
    return tuple(outputs[name] for name in sorted(outputs)), damaged


def _read(path: Path) -> bytes:
    return read_regular(path) if is_regular(path) else b""


def _own_files(live: Live, objects: Objects) -> Iterator[Output]:
    is_folder = live.files.is_dir() and not live.files.is_symlink()
    for entry in sorted(live.files.iterdir()) if is_folder else ():
        if entry.is_dir() and not entry.is_symlink():
            tree = objects.put_tree(entry)
            yield Output(
                name=entry.name, kind="folder", digest=tree.digest, size_bytes=tree.size_bytes
            )
        elif is_regular(entry):
            digest, size = objects.put_file(entry)
            yield Output(name=entry.name, kind="file", digest=digest, size_bytes=size)
