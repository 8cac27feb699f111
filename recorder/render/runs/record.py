"""One record on one screen: what ``recorder show`` prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from ... import codec
from ...hazards import all_hazards, kind_of, phrase
from ...records import Code, Hazard, Output, Record, Seed, Usage
from ...store.content.console import read_console
from ...store.content.timeline import STREAMS, Stream
from ...store.store import RunStore
from ..text import (
    Column,
    age,
    cut_to_terminal,
    duration,
    number,
    printable,
    render,
    short,
    size,
    status,
    status_or_verdict,
    styled_grade,
    width_of,
    wrapped,
)
from .environment import environment_lines
from .next import next_lines
from .runs import bare

_CONSOLE_LINES = 4
_TRACEBACK_LINES = 24
_LISTED = 12
# Sections that say something for once, and in full.
_IN_FULL = ("", "config", "failure", "redacted", "hazards", "warnings")


def describe_record(record: Record, store: RunStore) -> str:
    """The record in sections, those that hold nothing left out; in a terminal no line is wider than it.

    What is long is cut: the commands at the end print all of it.
    """
    sections = [
        ("", _head(record, store)),
        ("config", _config(record)),
        ("code", _code(record)),
        ("environment", environment_lines(record, store)),
        ("inputs", _inputs(record)),
        ("result", _result(record)),
        ("metrics", _metrics(record)),
        ("outputs", _outputs(record)),
        *((stream, _console(record, store, stream)) for stream in STREAMS),
        ("failure", _failure(record)),
        ("redacted", _redacted(record)),
        ("hazards", _hazards(record)),
        ("warnings", [f"  {text}" for text in record.warnings]),
        ("next", next_lines(record, store)),
    ]
    blocks = []
    for title, lines in sections:
        fold = wrapped if title in _IN_FULL else cut_to_terminal
        text = "\n".join(fold(line) for part in lines for line in part.split("\n"))
        if text:
            blocks.append(f"{click.style(title, bold=True)}\n{text}" if title else text)
    return "\n\n".join(blocks)


def _head(record: Record, store: RunStore) -> Iterator[str]:
    name = click.style(f"run {record.number}  {record.experiment}", bold=True)
    graded = "" if record.status == "running" else f"  {styled_grade(record)}"
    yield f"{name}  {status(record)}{graded}"
    when = record.started.astimezone().strftime("%Y-%m-%d %H:%M:%S %z")
    took = f", took {duration(record.duration_s)}" if record.duration_s is not None else ""
    yield f"  id       {record.id}"
    yield f"  started  {when} ({age(record.started)} ago){took}"
    if record.usage is not None:
        usage = record.usage
        cpu = duration(usage.cpu_user_s + usage.cpu_system_s)
        yield f"  usage    {cpu} of processor{_peak(usage)}"
    if record.tags:
        yield f"  tags     {', '.join(record.tags)}"
    if record.note:
        yield f"  note     {record.note}"
    yield from _relatives(record, store)


def _relatives(record: Record, store: RunStore) -> Iterator[str]:
    """The run that it is part of, the one that it replays and how that came out, and its own replays."""
    if record.parent:
        yield f"  part of  {_run_name(record.parent, store)}"
    if record.replay_of:
        name = _run_name(record.replay_of, store)
        live = record.verdict is not None and record.verdict.live_code
        code = ", with the code as it was then" if live else ""
        yield f"  replay   of {name}{_replayed_with(record)}{code}"
    if record.verdict is not None and record.verdict.reason:
        yield f"  verdict  {record.verdict.verdict}: {record.verdict.reason}"
    yield from _replays(store.replays(record))


def _run_name(id: str, store: RunStore) -> str:
    """The run by its number; by its id where it is not in the store."""
    found = store.find_id(id)
    return id[:8] if found is None else f"run {found.number}"


def _replays(replays: Sequence[Record]) -> Iterator[str]:
    """Whether it came out again: what became of the last replays."""
    shown = replays[-_LISTED:]
    said = [f"run {one.number} {click.unstyle(status_or_verdict(one))}" for one in shown]
    more = f" and {len(replays) - len(shown)} more" if len(replays) > len(shown) else ""
    if said:
        yield f"  replayed {', '.join(said)}{more}"


def _peak(usage: Usage) -> str:
    """The peak is the process's: where it was as high before, the run stayed below it."""
    peak = usage.peak_memory_bytes
    if not peak:
        return ""
    most = "less than" if usage.peak_memory_before_bytes == peak else "at most"
    return f", {most} {size(peak)}"


def _replayed_with(record: Record) -> str:
    return "".join(
        f", {c.key}: {codec.describe(c.old, width=20)} -> {codec.describe(c.new, width=20)}"
        for c in record.changes
    )


def _config(record: Record) -> Iterator[str]:
    flat = codec.flatten(record.config)
    if len(flat) > _LISTED:
        pairs = [f"{printable(key)}={bare(form, width=40)}" for key, form in flat.items()]
        yield f"  {'  '.join(pairs)}"
    else:
        width = max([width_of(printable(key)) for key in flat] + [4])
        for key, form in flat.items():
            blank = " " * (width - width_of(printable(key)))
            yield f"  {printable(key)}{blank}  {codec.describe(form, width=70)}"
    if record.seed_info is not None:
        seed = record.seed_info
        origin = {
            "argument": "the argument",
            "drawn": "drawn for this run",
            "replay": "the replayed run's",
        }
        planted = f"; planted in {', '.join(seed.generators)}" if seed.generators else ""
        yield click.style(f"  seed {seed.value}: {origin[seed.origin]}{planted}", dim=True)
        yield from (click.style(f"  {line}", dim=True) for line in _drawn(seed))


def _drawn(seed: Seed) -> Iterator[str]:
    """What else decided the random numbers."""
    if seed.deterministic:
        yield "deterministic algorithms"
    if seed.unseeded:
        count = "1 generator" if seed.unseeded == 1 else f"{seed.unseeded} generators"
        yield f"{count} of NumPy made without a seed: seeded from the run's"
    if seed.spawned:
        yield f"rng(): {seed.spawned}"


def _code(record: Record) -> Iterator[str]:
    function = record.function
    where = function.file or ("by value" if function.pickled is not None else "installed")
    if function.kind == "function":
        yield f"  {function.module}:{function.qualname}{function.signature}  ({where})"
    elif function.kind == "block":
        yield f"  a block of code in {function.module}:{function.qualname}"
    else:
        yield "  a command line"
    if record.code is not None:
        yield from _tree(record.code)


def _tree(code: Code) -> Iterator[str]:
    if code.commit:
        dirty = "dirty" if code.dirty else "clean"
        branch = f" on {code.branch}" if code.branch else ""
        remote = f", {code.remote}" if code.remote else ""
        yield f"  commit   {code.commit[:12]}{branch}, {dirty}{remote}"
    else:
        yield "  commit   none"
    if code.snapshot:
        yield f"  snapshot {code.snapshot[:12]} of {code.root}"
    for project in code.projects:
        at = f" at {project.commit[:12]}" if project.commit else ""
        dirty = ", dirty" if project.dirty else ""
        yield f"  project  {project.name}{at}{dirty}; {project.root}"
    for module in code.submodules:
        at = f" at {module.commit[:12]}" if module.commit else ""
        yield f"  submodule {module.path}{at}{', dirty' if module.dirty else ''}"
    for path in code.changed[:_LISTED]:
        yield click.style(f"    changed  {path}", dim=True)
    if len(code.changed) > _LISTED:
        yield click.style(f"    and {len(code.changed) - _LISTED} more", dim=True)
    for skipped in code.skipped[:_LISTED]:
        yield click.style(f"    skipped  {skipped.path}: {skipped.reason}", dim=True)


def _inputs(record: Record) -> Iterator[str]:
    for item in record.inputs[:_LISTED]:
        kept = "" if item.stored else "  (by digest only)"
        yield f"  {item.path}  {size(item.size_bytes)}  {short(item.digest)}{kept}"
    if len(record.inputs) > _LISTED:
        yield f"  and {len(record.inputs) - _LISTED} more"


def _result(record: Record) -> Iterator[str]:
    if record.status == "finished":
        yield f"  {codec.describe(record.result, width=100)}"


def _metrics(record: Record) -> Iterator[str]:
    if record.metrics:
        items = record.metrics
        columns = [
            Column("  name", [f"  {name}" for name in items]),
            Column("last", [number(m.last) for m in items.values()], right=True),
            Column("min", [number(m.min) for m in items.values()], right=True),
            Column("max", [number(m.max) for m in items.values()], right=True),
            Column("points", [str(m.count) for m in items.values()], right=True),
        ]
        yield render(columns)


def _outputs(record: Record) -> Iterator[str]:
    width = max([len(output.name) for output in record.outputs] + [4])
    for output in record.outputs:
        what = f"{codec.describe(output.form, width=60)}  " if output.kind == "value" else ""
        what += f"{size(output.size_bytes)}  {short(output.digest)}{_standing(output)}"
        yield f"  {output.name:<{width}}  {output.kind:<6}  {what}"


def _standing(output: Output) -> str:
    """Whether it was named by the run, and is in the store."""
    said = ["found"] * output.found + ["too large to be kept"] * (not output.stored)
    return f"  ({', '.join(said)})" if said else ""


def _console(record: Record, store: RunStore, stream: Stream) -> Iterator[str]:
    """The last lines, which say how it went."""
    text = read_console(store, record, stream).decode(errors="replace")
    lines = text.replace("\r\n", "\n").splitlines()
    if len(lines) > _CONSOLE_LINES:
        option = " --stderr" if stream == "stderr" else ""
        yield click.style(
            f"  ... of {len(lines)} lines: recorder logs {record.number}{option}", dim=True
        )
    for line in lines[-_CONSOLE_LINES:]:
        yield click.style(f"  {printable(click.unstyle(line))}", dim=True)


def _failure(record: Record) -> Iterator[str]:
    if record.failure is not None:
        lines = record.failure.traceback.rstrip().splitlines()
        if len(lines) > _TRACEBACK_LINES:
            left_out = len(lines) - _TRACEBACK_LINES
            lines[4 : 4 + left_out] = [f"  ... {left_out} lines (--json has all) ..."]
        yield from (f"  {line}" for line in lines)


def _redacted(record: Record) -> Iterator[str]:
    width = max([len(one.place) for one in record.redacted] + [4])
    for one in record.redacted:
        mark = click.style(one.marker.rpartition("-")[2][:8], dim=True)
        yield f"  {one.place:<{width}}  {mark}  {one.reason}"


def _hazards(record: Record) -> Iterator[str]:
    """The gravest first, each kind with what it means and what to do about it."""
    kinds: dict[str, list[Hazard]] = {}
    for one in all_hazards(record):
        kinds.setdefault(one.kind, []).append(one)
    for same in sorted(kinds.values(), key=lambda same: kind_of(same[0]).weight):
        kind = kind_of(same[0])
        yield from (f"  {phrase(one)}" for one in same[:_LISTED])
        if len(same) > _LISTED:
            yield f"  and {len(same) - _LISTED} more"
        what = "" if kind.weight != "note" else "a note: "
        yield click.style(f"    {what}{kind.meaning}; {kind.advice}", dim=True)
