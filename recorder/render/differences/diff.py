"""The differences of two runs, side by side: what ``recorder diff`` prints."""

from __future__ import annotations

from collections.abc import Sequence

import click

from ...compare.diff import Diff
from ...compare.entries import Entry
from ..text import Column, render, shorten, terminal_width

_LISTED = 20
_CELL = 48
_LEAST = 10


def describe_diff(found: Diff) -> str:
    """A block for each section that has differences; what is the same is said in one line."""
    blocks = [
        f"{click.style(name, bold=True)}{comment(name, entries)}\n{_table(found, entries)}"
        for name, entries in found.sections.items()
        if entries
    ]
    same = same_sections(found)
    if not blocks:
        what = "nothing differs" if len(same) > 1 else f"no difference in {same[0]}"
        return f"{run_name(found.a)} and {run_name(found.b)}: {what}"
    if same:
        blocks.append(click.style(f"the same: {', '.join(same)}", dim=True))
    return "\n\n".join(blocks)


def same_sections(found: Diff) -> list[str]:
    """The sections in which nothing differs. (Nobody asks for what is redacted in neither run.)"""
    return [
        name
        for name, entries in found.sections.items()
        if not entries and (name != "redacted" or len(found.sections) == 1)
    ]


def run_name(number: int) -> str:
    """What stands above a run's values; 0 is the working tree."""
    return f"run {number}" if number else "now"


def comment(name: str, entries: Sequence[Entry]) -> str:
    """For the code: whether the experiment's own changed, or only other files."""
    if name != "code":
        return ""
    own = any(entry.key == "source" for entry in entries)
    files = any(entry.key.startswith(("file ", "project ", "submodule ")) for entry in entries)
    said = "the experiment's code changed" if own else "only other files changed" if files else ""
    return click.style(f"  {said}", dim=True) if said else ""


def _table(found: Diff, entries: Sequence[Entry]) -> str:
    text = render(_fitted(diff_columns(found, entries[:_LISTED])))
    more = len(entries) - _LISTED
    return f"{text}\n    and {more} more (--json has all)" if more > 0 else text


def diff_columns(found: Diff, entries: Sequence[Entry]) -> list[Column]:
    """A section's entries as a table: the keys, both sides, and remarks."""
    keys = [f"  {_sign(entry)} {shorten(entry.key, _CELL)}" for entry in entries]
    return [
        Column("  ", keys),
        Column(run_name(found.a), [shorten(entry.left_text, _CELL) for entry in entries]),
        Column(run_name(found.b), [shorten(entry.right_text, _CELL) for entry in entries]),
        Column("", [_remark(entry) for entry in entries]),
    ]


def _fitted(columns: list[Column]) -> list[Column]:
    """No wider than the terminal: the widest column gives way first, down to what is still worth reading."""
    width = terminal_width()
    while width is not None and (over := sum(c.width + 2 for c in columns) - 2 - width) > 0:
        widest = max(range(len(columns)), key=lambda i: columns[i].width)
        now = columns[widest].width
        if now <= _LEAST:
            break
        columns[widest] = columns[widest].capped(max(now - over, now * 3 // 4, _LEAST))
    return columns


def _dim(text: str) -> str:
    return click.style(text, dim=True) if text else ""


def _sign(entry: Entry) -> str:
    signs = {"added": ("+", "green"), "removed": ("-", "red"), "changed": ("~", "yellow")}
    sign, colour = signs[entry.change]
    return click.style(sign, fg=colour)


def _remark(entry: Entry) -> str:
    own = entry.key == "source" or entry.key.startswith("file ")
    ratio = "" if entry.ratio is None else f"x {entry.ratio:.4g}"
    said = _dim(("" if own else entry.note) or ratio)
    if entry.better is None:
        return said
    word, colour = ("better", "green") if entry.better else ("worse", "red")
    return f"{said} {click.style(word, fg=colour)}"
