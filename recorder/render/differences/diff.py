"""The differences of two runs, side by side, for ``recorder diff``."""

from __future__ import annotations

from collections.abc import Sequence

import click

from ...compare.diff import Diff
from ...compare.entries import Entry
from ..text import Column, printable, render, shorten, terminal_width

_LISTED = 20
_CELL = 48
_LEAST = 10


def describe_diff(found: Diff) -> str:
    """Return a block for each section with differences, and one line for the sections without."""
    blocks = [
        f"{click.style(name, bold=True)}{comment(name, entries)}\n{_table(found, entries)}"
        for name, entries in found.sections.items()
        if entries
    ]
    same = same_sections(found)
    if not blocks:
        result = "nothing differs" if len(same) > 1 else f"no difference in {same[0]}"
        return f"{run_name(found.a)} and {run_name(found.b)}: {result}"
    if same:
        blocks.append(click.style(f"the same: {', '.join(same)}", dim=True))
    return "\n\n".join(blocks)


def same_sections(found: Diff) -> list[str]:
    """Return the sections without differences; `redacted` only if it is the one that was asked for."""
    return [
        name
        for name, entries in found.sections.items()
        if not entries and (name != "redacted" or len(found.sections) == 1)
    ]


def run_name(number: int) -> str:
    """Return the title of a run's column; 0 is the working tree."""
    return f"run {number}" if number else "now"


def comment(name: str, entries: Sequence[Entry]) -> str:
    """Return, for the code section, whether the experiment's function changed or only other files did."""
    if name != "code":
        return ""
    own = any(entry.key == "source" for entry in entries)
    files = any(entry.key.startswith(("file ", "project ", "submodule ")) for entry in entries)
    remark = "the experiment's code changed" if own else "only other files changed" if files else ""
    return click.style(f"  {remark}", dim=True) if remark else ""


def _table(found: Diff, entries: Sequence[Entry]) -> str:
    text = render(_fitted(diff_columns(found, entries[:_LISTED])))
    more = len(entries) - _LISTED
    return f"{text}\n    and {more} more (--json has all)" if more > 0 else text


def diff_columns(found: Diff, entries: Sequence[Entry]) -> list[Column]:
    """Return the entries of a section as a table: keys, both sides, and remarks."""
    keys = [f"  {_sign(entry)} {shorten(printable(entry.key), _CELL)}" for entry in entries]
    return [
        Column("  ", keys),
        Column(run_name(found.a), [_side(entry.left_text) for entry in entries]),
        Column(run_name(found.b), [_side(entry.right_text) for entry in entries]),
        Column("", [_remark(entry) for entry in entries]),
    ]


def _side(text: str) -> str:
    return shorten(printable(text), _CELL)


def _fitted(columns: list[Column]) -> list[Column]:
    """Narrow the table to the terminal: the widest column first, down to a width that can still be read."""
    width = terminal_width()
    while width is not None and (over := sum(c.width + 2 for c in columns) - 2 - width) > 0:
        widest = max(range(len(columns)), key=lambda i: columns[i].width)
        now = columns[widest].width
        if now <= _LEAST:
            break
        columns[widest] = columns[widest].capped(max(now - over, now * 3 // 4, _LEAST))
    return columns


def _sign(entry: Entry) -> str:
    signs = {"added": ("+", "green"), "removed": ("-", "red"), "changed": ("~", "yellow")}
    sign, color = signs[entry.change]
    return click.style(sign, fg=color)


def _remark(entry: Entry) -> str:
    own = entry.key == "source" or entry.key.startswith("file ")
    ratio = "" if entry.ratio is None else f"x {entry.ratio:.4g}"
    text = printable(("" if own else entry.note) or ratio)
    note = click.style(text, dim=True) if text else ""
    if entry.better is None:
        return note
    word, color = ("better", "green") if entry.better else ("worse", "red")
    return f"{note} {click.style(word, fg=color)}"
