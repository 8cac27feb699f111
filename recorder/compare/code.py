"""Comparison of the code of two runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import msgspec

from ..records import JSON, Code, Record
from .entries import Entry, mappings, short, text_of, values

# Returns the files of a snapshot: git blob ids by path.
Files = Callable[[str], Mapping[str, str]]


def code_entries(a: Record, b: Record, files: Files | None) -> Iterator[Entry]:
    """Yield the differences in code: the experiment's function, the commit, and the files of the snapshots.

    `files` lists the files of a snapshot; without it only the ids of the snapshots are compared.
    """
    yield from values(
        "source",
        a.function.source,
        b.function.source,
        text=short,
        note="the experiment's code changed",
    )
    if a.code is None or b.code is None:
        return
    for key in ("commit", "branch", "remote", "dirty"):
        text = _commit if key == "commit" else text_of
        yield from values(key, getattr(a.code, key), getattr(b.code, key), text=text)
    modules = ({f"submodule {s.path}": s.commit for s in c.submodules} for c in (a.code, b.code))
    yield from mappings(*modules, text=_commit)
    yield from _projects(a.code, b.code, files)
    left, right = a.code.snapshot, b.code.snapshot
    if left is None or right is None or files is None:
        yield from values("snapshot", left, right, text=_commit)
    elif left != right:
        same_source = a.function.source == b.function.source
        note = "only other files changed" if same_source else ""
        for entry in mappings(
            files(left), files(right), text=lambda blob: str(blob)[:10], prefix="file "
        ):
            yield msgspec.structs.replace(entry, note=note)


def _projects(a: Code, b: Code, files: Files | None) -> Iterator[Entry]:
    """Yield the differences in other imported projects: commits, and files of projects that both runs have."""
    left, right = ({project.name: project for project in code.projects} for code in (a, b))
    snapshots = ({f"project {n}": p.snapshot for n, p in found.items()} for found in (left, right))
    differing = list(mappings(*snapshots, text=_commit))
    for entry in differing:
        name = entry.key.removeprefix("project ")
        if entry.change != "changed" or files is None or not (entry.left and entry.right):
            yield entry
            continue
        yield from values(
            f"{entry.key} commit", left[name].commit, right[name].commit, text=_commit
        )
        yield from mappings(
            files(entry.left),
            files(entry.right),
            text=lambda blob: str(blob)[:10],
            prefix=f"{entry.key} file ",
        )


def _commit(id: JSON) -> str:
    return str(id)[:12]
