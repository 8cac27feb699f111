"""The changes of the code line by line, for ``recorder diff --code``."""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Iterator, Mapping
from difflib import unified_diff

import click

from ...capture.code.source import find_source
from ...records import Record
from ..text import printable

# Returns the bytes of a file in a snapshot, and the blob of each of its files.
Read = Callable[[str, str], bytes]
Files = Callable[[str], Mapping[str, str]]
_COLORS = {"+": "green", "-": "red", " ": None}
_PYTHON = re.compile(
    r"""(?P<comment>\#.*)|(?P<string>\b[rbfuRBFU]{0,2}(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'))"""
    rf"""|\b(?P<keyword>{"|".join(keyword.kwlist)})\b"""
)
_STYLES = {"comment": {"dim": True}, "string": {"italic": True}, "keyword": {"bold": True}}


def describe_patch(a: Record, b: Record, *, files: Files, read: Read) -> Iterator[str]:
    """Yield the unified diff of two runs' code in lines: the experiment's function first, then file by file."""
    own = _own_texts(a, b, read, files)
    if own is not None and own[0] != own[1]:
        title = printable(f"{b.function.qualname} ({b.function.file})")
        yield click.style(title, bold=True)
        yield from _hunks(*own, name=f"{b.function.qualname}.py")
    for label, left, right in _trees(a, b):
        before, after = files(left), files(right)
        changed = [p for p in sorted({*before, *after}) if before.get(p) != after.get(p)]
        for path in sorted(changed, key=lambda path: path != b.function.file):
            texts = [
                read(tree, path) if path in found else None
                for tree, found in ((left, before), (right, after))
            ]
            if not label and path == b.function.file and own and _is_all(own, texts):
                continue
            yield from _file(f"{label}{path}", texts[0], texts[1])


def _trees(a: Record, b: Record) -> Iterator[tuple[str, str, str]]:
    """Yield a label and both snapshots of the runs, and of the projects that both imported, that differ."""
    if a.code is None or b.code is None:
        return
    pairs = [("", a.code.snapshot, b.code.snapshot)]
    there = {project.name: project.snapshot for project in b.code.projects}
    pairs += [(f"{p.name}:", p.snapshot, there.get(p.name)) for p in a.code.projects]
    for label, left, right in pairs:
        if left is not None and right is not None and left != right:
            yield label, left, right


def _own_texts(a: Record, b: Record, read: Read, files: Files) -> tuple[str, str] | None:
    """Return the source of the experiment's function in both runs, None if one has none in a file."""
    found = []
    for record in (a, b):
        function, code = record.function, record.code
        if code is None or code.snapshot is None or function.file not in files(code.snapshot):
            return None
        text = read(code.snapshot, str(function.file)).decode(errors="replace")
        own = find_source(text, qualname=function.qualname, digest=function.source)
        if own is None:
            return None
        found.append(own)
    return found[0], found[1]


def _is_all(own: tuple[str, str], texts: list[bytes | None]) -> bool:
    """Return True if the files differ only in the function."""
    rests = [
        (data or b"").decode(errors="replace").replace(text, "", 1)
        for text, data in zip(own, texts, strict=True)
    ]
    return rests[0] == rests[1]


def _file(name: str, old: bytes | None, new: bytes | None) -> Iterator[str]:
    change = " (added)" if old is None else " (removed)" if new is None else ""
    yield click.style(f"{printable(name)}{change}", bold=True)
    if b"\0" in (old or b"")[:8000] or b"\0" in (new or b"")[:8000]:
        yield "  binary files differ"
        return
    texts = [(data or b"").decode(errors="replace") for data in (old, new)]
    yield from _hunks(texts[0], texts[1], name=name)


def _hunks(old: str, new: str, *, name: str) -> Iterator[str]:
    lines = unified_diff(old.splitlines(), new.splitlines(), lineterm="")
    for number, line in enumerate(lines):
        if number < 2:  # the names of the files, which stand above
            continue
        if line.startswith("@@"):
            yield click.style(line, fg="cyan")
        else:
            yield _styled(line, is_python=name.endswith(".py"))
    if old != new and old.splitlines() == new.splitlines():
        yield "  only line endings differ"


def _styled(line: str, *, is_python: bool) -> str:
    """Color a line; in Python, keywords are bold, strings italic, comments dim."""
    color = _COLORS[line[0]]
    text = "\t".join(map(printable, line[1:].split("\t")))
    parts, at = [click.style(line[0], fg=color)], 0
    for match in _PYTHON.finditer(text) if is_python else ():
        style = _STYLES[match.lastgroup or "keyword"]
        parts += [
            click.style(text[at : match.start()], fg=color),
            click.style(match[0], fg=color, **style),
        ]
        at = match.end()
    return "".join([*parts, click.style(text[at:], fg=color)])
