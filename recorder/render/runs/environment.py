"""The environment of a run, for ``recorder show`` and ``recorder env``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click
import msgspec

from ...environments.requirements import Requirement, find_requirements
from ...records import Record
from ...store.store import RunStore
from ..text import Column, printable, render, shorten, size


def describe_environment(record: Record, store: RunStore) -> str:
    """Return the environment in sections: Python and machine, packages, variables, locale."""
    environment = load_object(record.environment, store)
    runtime = load_object(record.runtime.last if record.runtime else None, store)
    sections = [
        ("environment", "\n".join(environment_lines(record, store))),
        ("packages", _package_table(find_requirements(environment), runtime.get("imported") or [])),
        ("variables", _pairs(environment.get("variables") or {})),
        ("locale", _pairs(environment.get("locale") or {})),
    ]
    return "\n\n".join(
        f"{click.style(title, bold=True)}\n{text}" for title, text in sections if text
    )


def _package_table(requirements: tuple[Requirement, ...], imported: list[str]) -> str:
    """Return a table of packages with version and origin; a star marks those that the run had imported."""
    if not requirements:
        return ""
    return render(
        [
            Column(" ", ["*" if one.name in imported else " " for one in requirements]),
            Column("package", [printable(one.name) for one in requirements]),
            Column("version", [printable(one.version) for one in requirements]),
            Column("from", [_origin(one) for one in requirements]),
        ]
    )


def _origin(one: Requirement) -> str:
    if one.origin == "index":
        return ""
    at = f" at {one.commit[:10]}" if one.commit else ""
    return printable(f"{one.origin} {one.url}{at}")


def _pairs(values: dict[str, Any]) -> str:
    return "\n".join(
        printable(f"  {name}={_text(value)}") for name, value in sorted(values.items())
    )


def _text(value: Any) -> str:
    if isinstance(value, dict) and "$redacted" in value:
        return "(redacted)"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def environment_lines(record: Record, store: RunStore) -> Iterator[str]:
    """Yield the machine and packages, what the run had loaded of them, and the process."""
    environment = load_object(record.environment, store)
    runtime = load_object(record.runtime.last if record.runtime else None, store)
    if environment:
        python, platform = environment.get("python") or {}, environment.get("platform") or {}
        yield printable(
            f"  Python {python.get('version')} ({python.get('implementation')}), {platform.get('system')}"
            f" {platform.get('release')} {platform.get('machine')}, {platform.get('libc')}"
        )
        yield printable(f"  {_hardware(platform)}")
        yield from _packages(environment.get("packages") or {}, runtime.get("imported"))
    yield from _numerics(runtime)
    if record.process is not None:
        process = record.process
        yield printable(f"  {process.user}@{process.host} in {process.cwd}")
        if process.ranks is not None:
            ranks = process.ranks
            yield printable(f"  rank     the first of {ranks.count}, started by {ranks.launcher}")
        fixed = "not fixed" if process.hash_seed is None else process.hash_seed
        argv = shorten(printable(" ".join(process.argv)), 90)
        yield f"  argv     {argv}  (PYTHONHASHSEED {printable(fixed)})"


def load_object(digest: str | None, store: RunStore) -> dict[str, Any]:
    """Return the environment or runtime object; {} if there is none."""
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
    """Yield the number of packages, and those that the run had imported."""
    if imported is None:
        yield f"  {len(packages)} packages"
        return
    named = [f"{name} {(packages.get(name) or {}).get('version', '')}".strip() for name in imported]
    names = shorten(printable(", ".join(named)) or "none", 90)
    yield f"  {len(packages)} packages, imported: {names}"


def _numerics(runtime: dict[str, Any]) -> Iterator[str]:
    """Yield the native libraries with their threads, and the PyTorch flags that matter most."""
    libraries = [
        " ".join(str(b[key]) for key in ("library", "version") if key in b) + f" x {b['threads']}"
        for b in runtime.get("libraries") or []
    ]
    torch = runtime.get("torch") or {}
    if torch:
        is_deterministic = torch.get("are_deterministic_algorithms_enabled")
        precision = torch.get("backends.cuda.matmul.fp32_precision", "")
        details = f", CUDA {torch['version.cuda']}" if torch.get("version.cuda") else ""
        details += f", matmul {precision}" if precision not in ("", "none") else ""
        how = "deterministic" if is_deterministic else "not deterministic"
        libraries.append(f"torch {torch.get('version')}{details}, {how}")
    if libraries:
        yield f"  threads  {shorten(printable('; '.join(dict.fromkeys(libraries))), 110)}"
