"""One record on one screen, for ``recorder show``."""

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
# Sections whose lines are wrapped instead of cut: nothing else shows their text.
_IN_FULL = ("", "config", "result", "failure", "redacted", "hazards", "warnings")


def describe_record(record: Record, store: RunStore) -> str:
    """Return the record in sections, without empty ones; in a terminal no line is wider than it.

    Long lists are shortened; the commands at the end print all of them.
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
        ("warnings", [f"  {printable(text)}" for text in record.warnings]),
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
    name = click.style(f"run {record.number}  {printable(record.experiment)}", bold=True)
    graded = "" if record.status == "running" else f"  {styled_grade(record)}"
    yield f"{name}  {status(record)}{graded}"
    when = record.started.astimezone().strftime("%Y-%m-%d %H:%M:%S %z")
    took = f", took {duration(record.duration_s)}" if record.duration_s is not None else ""
    yield f"  id       {printable(record.id)}"
    yield f"  started  {when} ({age(record.started)} ago){took}"
    if record.usage is not None:
        usage = record.usage
        cpu = duration(usage.cpu_user_s + usage.cpu_system_s)
        yield f"  usage    {cpu} of processor{_peak(usage)}"
    if record.tags:
        yield f"  tags     {printable(', '.join(record.tags))}"
    if record.note:
        yield f"  note     {printable(record.note)}"
    yield from _relatives(record, store)


def _relatives(record: Record, store: RunStore) -> Iterator[str]:
    """Yield the run that it is part of, the run that it replays with the verdict, and its own replays."""
    if record.parent:
        yield f"  part of  {_run_name(record.parent, store)}"
    if record.replay_of:
        name = _run_name(record.replay_of, store)
        live = record.verdict is not None and record.verdict.live_code
        code = ", with the code as it was then" if live else ""
        yield f"  replay   of {name}{_replayed_with(record)}{code}"
    if record.verdict is not None and record.verdict.reason:
        yield f"  verdict  {printable(f'{record.verdict.verdict}: {record.verdict.reason}')}"
    yield from _replays(store.replays(record))


def _run_name(id: str, store: RunStore) -> str:
    """Return the number of the run, or its id if the store does not have it."""
    run = store.find_id(id)
    return printable(id[:8]) if run is None else f"run {run.number}"


def _replays(replays: Sequence[Record]) -> Iterator[str]:
    """Yield the verdicts of the last replays."""
    shown = replays[-_LISTED:]
    verdicts = [f"run {one.number} {click.unstyle(status_or_verdict(one))}" for one in shown]
    more = f" and {len(replays) - len(shown)} more" if len(replays) > len(shown) else ""
    if verdicts:
        yield f"  replayed {', '.join(verdicts)}{more}"


def _peak(usage: Usage) -> str:
    """Describe the peak memory, which is the process's: if it was as high before, the run stayed below it."""
    peak = usage.peak_memory_bytes
    if not peak:
        return ""
    bound = "less than" if usage.peak_memory_before_bytes == peak else "at most"
    return f", {bound} {size(peak)}"


def _replayed_with(record: Record) -> str:
    return printable(
        "".join(
            f", {c.key}: {codec.describe(c.old, width=20)} -> {codec.describe(c.new, width=20)}"
            for c in record.changes
        )
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
            yield f"  {printable(key)}{blank}  {printable(codec.describe(form, width=70))}"
    if record.seed_info is not None:
        seed = record.seed_info
        origin = {
            "argument": "the argument",
            "drawn": "drawn for this run",
            "replay": "the replayed run's",
        }
        planted = f"; planted in {printable(', '.join(seed.generators))}" if seed.generators else ""
        if seed.kept:
            kept = printable(", ".join(seed.kept))
            planted += f"; not planted in {kept}, which the program had seeded"
        yield click.style(f"  seed {seed.value}: {origin[seed.origin]}{planted}", dim=True)
        yield from (click.style(f"  {line}", dim=True) for line in _drawn(seed))


def _drawn(seed: Seed) -> Iterator[str]:
    """Yield the other facts that decide the random numbers."""
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
        yield printable(f"  {function.module}:{function.qualname}{function.signature}  ({where})")
    elif function.kind == "block":
        yield printable(f"  a block of code in {function.module}:{function.qualname}")
    else:
        yield "  a command line"
    if record.code is not None:
        yield from _tree(record.code)


def _tree(code: Code) -> Iterator[str]:
    if code.commit:
        dirty = "dirty" if code.dirty else "clean"
        branch = f" on {code.branch}" if code.branch else ""
        remote = f", {code.remote}" if code.remote else ""
        yield printable(f"  commit   {code.commit[:12]}{branch}, {dirty}{remote}")
    else:
        yield "  commit   none"
    if code.snapshot:
        yield printable(f"  snapshot {code.snapshot[:12]} of {code.root}")
    for project in code.projects:
        at = f" at {project.commit[:12]}" if project.commit else ""
        dirty = ", dirty" if project.dirty else ""
        yield printable(f"  project  {project.name}{at}{dirty}; {project.root}")
    for module in code.submodules:
        at = f" at {module.commit[:12]}" if module.commit else ""
        dirty = ", dirty" if module.dirty else ""
        yield printable(f"  submodule {module.path}{at}{dirty}")
    for path in code.changed[:_LISTED]:
        yield click.style(f"    changed  {printable(path)}", dim=True)
    if len(code.changed) > _LISTED:
        yield click.style(f"    and {len(code.changed) - _LISTED} more", dim=True)
    for skipped in code.skipped[:_LISTED]:
        yield click.style(
            f"    skipped  {printable(f'{skipped.path}: {skipped.reason}')}", dim=True
        )


def _inputs(record: Record) -> Iterator[str]:
    for item in record.inputs[:_LISTED]:
        kept = "" if item.stored else "  (by digest only)"
        yield f"  {printable(item.path)}  {size(item.size_bytes)}  {short(item.digest)}{kept}"
    if len(record.inputs) > _LISTED:
        yield f"  and {len(record.inputs) - _LISTED} more"


def _result(record: Record) -> Iterator[str]:
    if record.status == "finished":
        yield f"  {printable(codec.describe(record.result, width=100))}"


def _metrics(record: Record) -> Iterator[str]:
    if record.metrics:
        items = record.metrics
        columns = [
            Column("  name", [f"  {printable(name)}" for name in items]),
            Column("last", [number(m.last) for m in items.values()], right=True),
            Column("min", [number(m.min) for m in items.values()], right=True),
            Column("max", [number(m.max) for m in items.values()], right=True),
            Column("points", [str(m.count) for m in items.values()], right=True),
        ]
        yield render(columns)


def _outputs(record: Record) -> Iterator[str]:
    names = [printable(output.name) for output in record.outputs]
    width = max([width_of(name) for name in names] + [4])
    for output, name in zip(record.outputs, names, strict=True):
        value = codec.describe(output.form, width=60) if output.kind == "value" else ""
        about = f"{printable(value)}  " if value else ""
        about += f"{size(output.size_bytes)}  {short(output.digest)}{_remark(output)}"
        yield f"  {name}{' ' * (width - width_of(name))}  {output.kind:<6}  {about}"


def _remark(output: Output) -> str:
    """Return whether recorder found the output by itself, and whether it is not in the store."""
    remarks = ["found"] * output.found + ["too large to keep"] * (not output.stored)
    return f"  ({', '.join(remarks)})" if remarks else ""


def _console(record: Record, store: RunStore, stream: Stream) -> Iterator[str]:
    """Yield the last lines, which tell how the run went."""
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
            lines[4 : 4 + left_out] = [f"  ... {left_out} lines (recorder show --json has all) ..."]
        yield from (f"  {printable(line)}" for line in lines)


def _redacted(record: Record) -> Iterator[str]:
    places = [printable(one.place) for one in record.redacted]
    width = max([width_of(place) for place in places] + [4])
    for one, place in zip(record.redacted, places, strict=True):
        mark = click.style(printable(one.marker.rpartition("-")[2][:8]), dim=True)
        yield f"  {place}{' ' * (width - width_of(place))}  {mark}  {printable(one.reason)}"


def _hazards(record: Record) -> Iterator[str]:
    """Yield the hazards, the most serious kind first, each kind with its meaning and advice."""
    kinds: dict[str, list[Hazard]] = {}
    for one in all_hazards(record):
        kinds.setdefault(one.kind, []).append(one)
    for same in sorted(kinds.values(), key=lambda same: kind_of(same[0]).weight):
        kind = kind_of(same[0])
        yield from (f"  {printable(phrase(one))}" for one in same[:_LISTED])
        if len(same) > _LISTED:
            yield f"  and {len(same) - _LISTED} more"
        prefix = "" if kind.weight != "note" else "a note: "
        yield click.style(f"    {prefix}{kind.meaning}; {kind.advice}", dim=True)
