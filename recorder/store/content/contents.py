"""Look up the content of a run by name: its outputs, the files in them, its inputs and its result.

======================  ==========================================================================
``predictions.csv``     the output of that name: a file, a folder or a value
``ckpt/epoch-3.pt``     a file in the folder that is the output ``ckpt``
``result``              the value that the function returned
``inputs/data.csv``     the input of that path; the end of a path is enough if it is unique
======================  ==========================================================================

They are tried in that order.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO, Literal, NamedTuple

import msgspec

from ...digest import digest_bytes
from ...errors import ContentNotFoundError
from ...records import JSON, Input, Record
from ..objects.trees import TreeEntry
from ..store import RunStore

INPUTS = "inputs/"
RESULT = "result"


class Found(NamedTuple):
    """Content found by name: a file (an object, or a file of the code snapshot), a folder, or the form of a value.

    The paths of `entries` are relative to the folder.
    """

    name: str
    kind: Literal["file", "folder", "value"]
    digest: str = ""
    entries: tuple[TreeEntry, ...] = ()
    form: JSON = None
    input: Input | None = None


def find_content(store: RunStore, record: Record, name: str) -> Found:
    """Return the content of the run under that name.

    Raises ContentNotFoundError if there is none, or if the store does not hold it.
    """
    output = find_output(store, record, name)
    if output is not None:
        return output
    if name == RESULT and record.status == "finished":
        return Found(name, "value", form=record.result)
    if name.startswith(INPUTS):
        return found_input(record, name.removeprefix(INPUTS))
    raise not_found(f"run {record.number} has no {name!r}", name, content_names(record))


def find_output(store: RunStore, record: Record, name: str) -> Found | None:
    """Return the output of that name, or the file in an output folder; None if there is none."""
    return _output(store, record, name) or _inside(store, record, name)


def open_content(store: RunStore, record: Record, found: Found) -> BinaryIO:
    """Open a file that was found; an object is not verified.

    Raises ContentNotFoundError for an input of which the store has only the digest.
    """
    if store.objects.has(found.digest):
        return store.objects.open(found.digest)
    item = found.input
    data = None if item is None else _from_snapshot(store, record, item)
    if data is not None:
        return io.BytesIO(data)
    if item is not None and not item.stored:
        message = (
            f"the store has only the digest of the input {item.path} of run {record.number}, not"
            " its content"
        )
        raise ContentNotFoundError(message, name=found.name)
    return store.objects.open(found.digest)


def _from_snapshot(store: RunStore, record: Record, item: Input) -> bytes | None:
    """Return the bytes of an input from the code snapshot, None if the snapshot lacks it or has other bytes."""
    code = record.code
    if not item.in_root or code is None or code.snapshot is None:
        return None
    if item.path not in store.snapshots.files(code.snapshot):
        return None
    data = store.snapshots.read(code.snapshot, item.path)
    return data if digest_bytes(data) == item.digest else None


def found_input(record: Record, path: str) -> Found:
    """Return the input of that path as content, see `find_input`."""
    item = find_input(record, path)
    return Found(INPUTS + item.path, "file", digest=item.digest, input=item)


def find_input(record: Record, path: str) -> Input:
    """Return the input of that path, or the only one whose path ends with it. Raises ContentNotFoundError."""
    paths = [item.path for item in record.inputs]
    return record.inputs[paths.index(find_path(paths, path, what="input", run=record.number))]


def find_path(paths: Sequence[str], wanted: str, *, what: str, run: int) -> str:
    """Return `wanted`, or the only one of the paths that ends with its parts. Raises ContentNotFoundError."""
    if wanted in paths:
        return wanted
    ending = [path for path in paths if path.endswith(f"/{wanted}")]
    if len(ending) == 1:
        return ending[0]
    if ending:
        several = f"{len(ending)} of its paths end with it: {', '.join(ending[:4])}"
        raise ContentNotFoundError(
            f"run {run} has no {what} {wanted!r}, but {several}", name=wanted, candidates=ending
        )
    raise not_found(f"run {run} has no {what} {wanted!r}", wanted, paths)


def _output(store: RunStore, record: Record, name: str) -> Found | None:
    output = next((output for output in record.outputs if output.name == name), None)
    if output is None:
        return None
    if output.kind == "value":
        return Found(name, "value", form=output.form)
    if not output.stored:
        message = (
            f"the output {name} of run {record.number} was too large to store: the store has only"
            " its digest"
        )
        raise ContentNotFoundError(message, name=name)
    if output.kind == "folder":
        return Found(name, "folder", entries=store.objects.read_tree(output.digest).entries)
    return Found(name, "file", digest=output.digest)


def _inside(store: RunStore, record: Record, name: str) -> Found | None:
    """Return the file or folder in an output folder, None if `name` is not in any."""
    for output in record.outputs:
        if output.kind != "folder" or not output.stored or not name.startswith(f"{output.name}/"):
            continue
        path = name[len(output.name) + 1 :].rstrip("/")
        entries = store.objects.read_tree(output.digest).entries
        for entry in entries:
            if entry.path == path and entry.digest is not None:
                return Found(name, "file", digest=entry.digest)
        if below := tuple(_below(entries, path)):
            return Found(name, "folder", entries=below)
        raise not_found(
            f"the output {output.name} of run {record.number} has no {path!r}",
            path,
            [entry.path for entry in entries],
        )
    return None


def _below(entries: Iterable[TreeEntry], path: str) -> Iterator[TreeEntry]:
    """Yield the entries below the folder `path`, with their paths relative to it."""
    for entry in entries:
        if not path or entry.path.startswith(f"{path}/"):
            inside = entry.path[len(path) :].removeprefix("/")
            yield msgspec.structs.replace(entry, path=inside)


def content_names(record: Record) -> list[str]:
    """Return the names that `find_content` accepts, except those of files in folders."""
    names = [output.name for output in record.outputs]
    names += [RESULT] if record.status == "finished" and RESULT not in names else []
    return names + [INPUTS + item.path for item in record.inputs]


def not_found(message: str, name: str, names: Sequence[str]) -> ContentNotFoundError:
    """Return the error for a name that is not among `names`, with similar names."""
    hint, near = nearest(name, names)
    return ContentNotFoundError(f"{message}: {hint}", name=name, candidates=near)


def nearest(name: str, names: Sequence[str]) -> tuple[str, list[str]]:
    """Return a hint about the names most similar to `name`, and these names."""
    import difflib

    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5) or list(names[:4])
    more = "" if len(near) == len(names) or near != list(names[:4]) else ", ..."
    return f"there is {', '.join(near)}{more}" if near else "there is nothing", near
