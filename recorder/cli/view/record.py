"""One record on one screen: what ``recorder show`` prints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click
import msgspec

from ... import codec
from ...grade import all_hazards, kind_of, phrase
from ...records import Code, Content, Hazard, Output, Record, Seed, Usage
from ...store.store import Store
from .text import Column, age, duration, number, render, short, shorten, size, status, styled_grade

_CONSOLE_LINES = 8
_TRACEBACK_LINES = 24
_LISTED = 12


def describe_record(record: Record, store: Store) -> str:
    """The record in sections, those that hold nothing left out."""
    sections = [
        ("", _head(record, store)),
        ("config", _config(record)),
        ("code", _code(record)),
        ("environment", _environment(record, store)),
        ("inputs", _inputs(record)),
        ("result", _result(record)),
        ("metrics", _metrics(record)),
        ("outputs", _outputs(record)),
        ("stdout", _console(record.stdout, store)),
        ("stderr", _console(record.stderr, store)),
        ("failure", _failure(record)),
        ("redacted", _redacted(record)),
        ("hazards", _hazards(record)),
        ("warnings", [f"  {text}" for text in record.warnings]),
        ("next", _next(record)),
    ]
    blocks = []
    for title, lines in sections:
        text = "\n".join(lines)
        if text:
            blocks.append(f"{click.style(title, bold=True)}\n{text}" if title else text)
    return "\n\n".join(blocks)


def _head(record: Record, store: Store) -> Iterator[str]:
    name = click.style(f"run {record.number}  {record.experiment}", bold=True)
    graded = "" if record.status == "running" else f"  {styled_grade(record)}"
    yield f"{name}  {status(record)}{graded}"
    when = record.started.astimezone().strftime("%Y-%m-%d %H:%M:%S %z")
    took = f", took {duration(record.duration_s)}" if record.duration_s is not None else ""
    usage = record.usage
    if usage is not None:
        took += f" ({usage.cpu_user_s + usage.cpu_system_s:.2f} s of processor"
        took += f"{_peak(usage)})"
    yield f"  id       {record.id}"
    yield f"  started  {when} ({age(record.started)} ago){took}"
    if record.tags:
        yield f"  tags     {', '.join(record.tags)}"
    if record.note:
        yield f"  note     {record.note}"
    if record.parent:
        yield f"  part of  {record.parent[:8]}"
    if record.replay_of:
        original = store.find_id(record.replay_of)
        name = f"run {original.number}" if original is not None else record.replay_of[:8]
        live = record.verdict is not None and record.verdict.live_code
        code = ", with the code as it was then" if live else ""
        yield f"  replay   of {name}{_replayed_with(record)}{code}"
    if record.verdict is not None and record.verdict.reason:
        yield f"  verdict  {record.verdict.verdict}: {record.verdict.reason}"


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
    width = max([len(key) for key in flat] + [4])
    for key, form in flat.items():
        yield f"  {key:<{width}}  {codec.describe(form, width=70)}"
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
    if seed.system_draws:
        yield f"the operating system's random numbers: drawn {seed.system_draws} times; no replay repeats them"


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
        yield f"  commit   {code.commit[:12]}{branch}, {dirty}" + (
            f", {code.remote}" if code.remote else ""
        )
    else:
        yield f"  no commit; {code.root}"
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


def _environment(record: Record, store: Store) -> Iterator[str]:
    found = _object(record.environment, store)
    runtime = _object(record.runtime.last if record.runtime else None, store)
    if found:
        python, platform = found.get("python") or {}, found.get("platform") or {}
        yield (
            f"  Python {python.get('version')} ({python.get('implementation')}), {platform.get('system')}"
            f" {platform.get('release')} {platform.get('machine')}, {platform.get('libc')}"
            f"  ({short(record.environment or '')})"
        )
        yield f"  {_hardware(platform)}"
        yield from _packages(found.get("packages") or {}, runtime.get("imported"))
    yield from _numerics(runtime)
    if record.process is not None:
        process = record.process
        yield f"  {process.user}@{process.host} in {process.cwd}"
        if process.ranks is not None:
            yield f"  rank     the first of {process.ranks.count}, started by {process.ranks.launcher}"
        yield f"  argv     {shorten(' '.join(process.argv), 90)}"
        yield f"  PYTHONHASHSEED {'not fixed' if process.hash_seed is None else process.hash_seed}"


def _object(digest: str | None, store: Store) -> dict[str, Any]:
    """The environment or runtime object; {} where there is none."""
    if digest is None or not store.objects.has(digest):
        return {}
    found: dict[str, Any] = msgspec.json.decode(store.read(digest))
    return found


def _hardware(platform: dict[str, Any]) -> str:
    cpu, memory = platform.get("cpu") or {}, platform.get("memory_bytes")
    parts = [f"{cpu.get('count')} x {cpu.get('model')}"]
    parts += [size(memory)] if memory else []
    parts += [f"{gpu['model']} (driver {gpu['driver']})" for gpu in platform.get("gpu") or []]
    return ", ".join(parts)


def _packages(packages: dict[str, Any], imported: list[str] | None) -> Iterator[str]:
    """How many there are, and which of them the run had imported."""
    if imported is None:
        yield f"  {len(packages)} packages"
        return
    named = [f"{name} {(packages.get(name) or {}).get('version', '')}".strip() for name in imported]
    yield f"  {len(packages)} packages, imported: {shorten(', '.join(named) or 'none', 90)}"


def _numerics(runtime: dict[str, Any]) -> Iterator[str]:
    """The native libraries with their threads, and what of PyTorch's flags people look for first."""
    libraries = [
        " ".join(str(b[key]) for key in ("library", "version") if key in b) + f" x {b['threads']}"
        for b in runtime.get("libraries") or []
    ]
    torch = runtime.get("torch") or {}
    if torch:
        sure = torch.get("are_deterministic_algorithms_enabled")
        precision = torch.get("backends.cuda.matmul.fp32_precision", "")
        said = f", CUDA {torch['version.cuda']}" if torch.get("version.cuda") else ""
        said += f", matmul {precision}" if precision not in ("", "none") else ""
        how = "deterministic" if sure else "not deterministic"
        libraries.append(f"torch {torch.get('version')}{said}, {how}")
    if libraries:
        yield f"  threads  {shorten('; '.join(dict.fromkeys(libraries)), 110)}"


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


def _console(content: Content | None, store: Store) -> Iterator[str]:
    if content is None:
        return
    lines = store.read_content(content).decode(errors="replace").splitlines()
    for line in lines[:_CONSOLE_LINES]:
        yield click.style(f"  {shorten(line, 110)}", dim=True)
    if len(lines) > _CONSOLE_LINES:
        yield click.style(f"  ... and {len(lines) - _CONSOLE_LINES} lines more", dim=True)


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


def _next(record: Record) -> Iterator[str]:
    run = record.number
    if record.status in ("finished", "failed", "interrupted"):
        yield click.style(f"  recorder replay {run}", dim=True)
    if run > 1:
        yield click.style(f"  recorder diff {run - 1} {run}", dim=True)
