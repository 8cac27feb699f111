"""Suggested commands after a look at a run."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import click

from ...records import Record
from ...store.store import RunStore
from ..text import printable, width_of

# Files that a terminal can show.
_TEXTS = (
    ".csv",
    ".html",
    ".json",
    ".jsonl",
    ".log",
    ".md",
    ".svg",
    ".toml",
    ".tsv",
    ".txt",
    ".xml",
    ".yaml",
    ".yml",
)


def next_lines(record: Record, store: RunStore) -> Iterator[str]:
    """Yield the commands to use next, each with its purpose."""
    commands = list(_commands(record, store))
    width = max([width_of(command) for command, _ in commands] + [0])
    for command, purpose in commands:
        blank = " " * (width - width_of(command))
        yield f"  {command}{blank}  {click.style(purpose, dim=True)}"


def _commands(record: Record, store: RunStore) -> Iterator[tuple[str, str]]:
    run, before = record.number, store.before(record)
    if record.status == "running":
        yield f"recorder logs {run} --follow", "watch its output"
    if record.status == "lost":
        yield "recorder check --repair", "finish its record"
    if record.status in ("finished", "failed", "interrupted"):
        yield f"recorder replay {run}", "does it reproduce?"
    if before is not None:
        name = printable(record.experiment)
        yield f"recorder diff {before} {run}", f"what changed since the previous {name}"
    files = [output.name for output in record.outputs if output.kind != "value" and output.stored]
    texts = [name for name in files if name.endswith(_TEXTS) and name.isprintable()]
    if texts:
        yield f"recorder cat {run}:{shlex.quote(texts[0])}", "print an output"
    if files:
        yield f"recorder restore {run} --to DIR", "write its outputs into a folder"
    if record.code is not None and record.code.snapshot is not None:
        yield f"recorder code {run}", "list its source files"
