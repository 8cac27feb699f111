"""Runs, differences and verdicts as HTML for notebooks, and as plain text.

The tables are those of the command line, from `recorder.render`; this module is imported only when something is
displayed.
"""

from __future__ import annotations

from collections.abc import Sequence

from .. import codec
from ..compare.diff import Diff
from ..records import Record
from ..render.differences.diff import comment, describe_diff, diff_columns, same_sections
from ..render.html import block, escape, table
from ..render.replays.explanation import describe_explanation
from ..render.replays.repetition import describe_repetition
from ..render.replays.verdict import describe_replay, item_columns
from ..render.runs.record import describe_record
from ..render.runs.runs import lay_out_runs, runs_table
from ..render.text import Column, age, duration, number, plain, size, status
from ..replay.explain.explanation import Explanation
from ..replay.many.repetition import Repetition
from ..store.store import RunStore

# The longest table that is useful in a notebook, in rows.
SHOWN = 60
_METRIC_SIDES = (False, True, True, True, True)


def runs_text(records: Sequence[Record], *, count: int) -> str:
    """Return the table of ``recorder list``; `records` are the last of `count` runs."""
    if not records:
        return "no runs"
    return f"{plain(runs_table(records))}{_more(records, count, newline=True)}"


def runs_html(records: Sequence[Record], *, count: int) -> str:
    """Return the table as HTML."""
    if not records:
        return "<p>no runs</p>"
    laid = lay_out_runs(records)
    shared = "".join(
        f"<div><small>{escape(who)}: {escape('  '.join(f'{k}={v}' for k, v in texts.items()))}</small></div>"
        for who, texts in laid.above.items()
        if texts
    )
    more = _more(records, count)
    end = f"<div><small>{escape(more)}</small></div>" if more else ""
    return f"<div>{shared}{_columns_html(laid.columns)}{end}</div>"


def _more(records: Sequence[Record], count: int, *, newline: bool = False) -> str:
    if len(records) == count:
        return ""
    return f"{chr(10) * newline}the last {len(records)} of {count} runs"


def record_html(store: RunStore, record: Record) -> str:
    """Return tables of config, result, metrics and outputs, with the output of ``recorder show`` folded below."""
    head = f"run {record.number}  {record.experiment}  {plain(status(record))}"
    took = "" if record.duration_s is None else f", took {duration(record.duration_s)}"
    tags = f"; {', '.join(record.tags)}" if record.tags else ""
    full = plain(describe_record(record, store))
    fold = f"<details><summary>everything</summary><pre>{escape(full)}</pre></details>"
    inner = f"{_remarks(record)}{_record_tables(record)}{fold}"
    return block(head, inner, note=f"{age(record.started)} ago{took}{tags}")


def _remarks(record: Record) -> str:
    """Return the note and the failure, if there are any."""
    failure = record.failure
    texts = [record.note, "" if failure is None else f"{failure.type}: {failure.message}"]
    return "".join(f"<div>{escape(text)}</div>" for text in texts if text)


def _record_tables(record: Record) -> str:
    config = [(k, codec.describe(v, width=80)) for k, v in codec.flatten(record.config).items()]
    metrics = [
        (name, number(m.last), number(m.min), number(m.max), str(m.count))
        for name, m in record.metrics.items()
    ]
    outputs = [(one.name, one.kind, size(one.size_bytes)) for one in record.outputs]
    result = [(codec.describe(record.result, width=100),)] if record.status == "finished" else []
    sections = (
        ("config", ("", ""), config, ()),
        ("result", ("",), result, ()),
        ("metrics", ("", "last", "min", "max", "points"), metrics, _METRIC_SIDES),
        ("outputs", ("", "", ""), outputs, (False, False, True)),
    )
    return "".join(
        block(name, table(titles, rows, right=right))
        for name, titles, rows, right in sections
        if rows
    )


def diff_text(found: Diff) -> str:
    """Return the output of ``recorder diff``."""
    return plain(describe_diff(found))


def diff_html(found: Diff) -> str:
    """Return a table for each section that differs."""
    blocks = [
        block(
            name,
            _columns_html(diff_columns(found, entries)),
            note=plain(comment(name, entries)).strip(),
        )
        for name, entries in found.sections.items()
        if entries
    ]
    if not blocks:
        return f"<p>{escape(diff_text(found))}</p>"
    same = ", ".join(same_sections(found))
    return f"<div>{''.join(blocks)}<small>the same: {escape(same)}</small></div>"


def _columns_html(columns: Sequence[Column]) -> str:
    rows = list(zip(*(map(plain, column.cells) for column in columns), strict=True))
    return table(
        [column.title.strip() for column in columns],
        rows,
        right=[column.right for column in columns],
    )


def replay_text(done: Repetition, explanation: Explanation | None) -> str:
    """Return the output of ``recorder replay``: one verdict or several, then the explanation."""
    several = len(done.replays) > 1
    parts = [describe_repetition(done) if several else describe_replay(done.replays[0])]
    if explanation is not None:
        parts.append(describe_explanation(explanation))
    return plain("\n".join(parts))


def replay_html(done: Repetition, explanation: Explanation | None) -> str:
    """Return the output of ``recorder replay`` with the items as a table."""
    first, *rest = replay_text(done, explanation).splitlines()
    found = done.replays[0].verification
    if found is None or len(done.replays) > 1 or explanation is not None:
        return f"<div><b>{escape(first)}</b><pre>{escape(chr(10).join(rest))}</pre></div>"
    items = _columns_html(item_columns(found)) if found.items else ""
    reason = f": {found.reason}" if found.reason else ""
    return block(first, f"{items}<b>{escape(found.verdict)}</b>{escape(reason)}")
