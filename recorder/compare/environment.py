"""Facts about the environment of two runs as flat mappings, ordered by relevance.

A key is dotted, for example ``platform.cpu.model`` or ``packages.numpy``; a value is plain JSON. Facts that affect
numbers come first, and among packages those that a run imported.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from ..records import JSON, Record
from . import ObjectReader

# Prefixes of sets, where a member that only one run has is a difference. Any other fact that only one run has is
# ignored, because an earlier version of recorder may not have recorded it.
_SETS = ("packages.", "imports.", "variables.", "libraries.", "platform.cpu.instructions.")
# Order of the prefixes, after imported packages. Other prefixes follow, then packages that were not imported.
_ORDER = ("python.", "platform.cpu.", "platform.gpu", "platform.cuda", "torch", "libraries.", "variables.", "imports.",
          "locale.", "process.")  # fmt: skip


class Facts(NamedTuple):
    """Facts by key, and the names of the distributions that the run imported."""

    known: dict[str, JSON]
    imported: frozenset[str]


def facts(a: Record, b: Record, objects: ObjectReader) -> tuple[Facts, Facts]:
    """Return the facts of both runs in order of relevance, without those that only one run recorded."""
    left, right = (_Run(record, objects) for record in (a, b))
    known = dict(left.facts()), dict(right.facts())
    imported = frozenset(left.imported), frozenset(right.imported)
    either = imported[0] | imported[1]
    keys = [key for key in known[0] | known[1] if _counts(key, *known)]
    keys.sort(key=lambda key: (_rank(key, either), key))
    sides = [{key: side[key] for key in keys if key in side} for side in known]
    return Facts(sides[0], imported[0]), Facts(sides[1], imported[1])


def _counts(key: str, a: Mapping[str, JSON], b: Mapping[str, JSON]) -> bool:
    if key in a and key in b:
        return True
    group = next((group for group in _SETS if key.startswith(group)), None)
    # A side recorded by an earlier version may lack the whole set.
    return group is not None and group in a and group in b


def _rank(key: str, imported: frozenset[str]) -> int:
    if key.startswith("packages."):
        return 0 if key.partition(".")[2] in imported else len(_ORDER) + 2
    found = (i for i, group in enumerate(_ORDER) if key.startswith(group))
    return 1 + next(found, len(_ORDER))


class _Run:
    def __init__(self, record: Record, objects: ObjectReader) -> None:
        runtime = record.runtime
        self._environment = _read(record.environment, objects)
        self._begun = _read(runtime.start if runtime else None, objects)
        self._ended = _read(runtime.last if runtime else None, objects)
        self._process = record.process

    @property
    def imported(self) -> list[str]:
        return self._ended.get("imported") or []

    def facts(self) -> Iterator[tuple[str, JSON]]:
        """Yield keys and values; for each recorded set also its prefix, with the value None."""
        found = self._environment
        for section in ("python", "locale"):
            yield from _flatten(found.get(section), f"{section}.")
        yield from self._platform(found.get("platform"))
        yield from _members("variables.", found.get("variables"))
        packages = found.get("packages")
        if packages is not None:
            yield from _members("packages.", {k: _package(v) for k, v in packages.items()})
        yield from self._loaded()
        if self._process is not None:
            yield "process.PYTHONHASHSEED", self._process.hash_seed
            yield from ([("process.umask", self._process.umask)] if self._process.umask else [])

    def _platform(self, found: Any) -> Iterator[tuple[str, JSON]]:
        for key, value in _flatten(found, "platform."):
            if key == "platform.cpu.instructions":
                yield from _members(f"{key}.", dict.fromkeys(value, True))
            else:
                yield key, value

    def _loaded(self) -> Iterator[tuple[str, JSON]]:
        """Yield the runtime at the end of the run, and PyTorch's flags also at the beginning."""
        ended = self._ended
        if not ended:
            return
        yield from _members("imports.", dict.fromkeys(self.imported, True))
        yield from _members("libraries.", _libraries(ended.get("libraries") or []))
        yield from _flatten(ended.get("torch"), "torch.")
        yield from _flatten(self._begun.get("torch"), "torch, at the beginning, ")
        yield "process.start_method", ended.get("start_method")


def _read(digest: str | None, objects: ObjectReader) -> dict[str, Any]:
    found: dict[str, Any] = {} if digest is None else msgspec.json.decode(objects.read(digest))
    return found


def _members(group: str, values: Mapping[str, JSON] | None) -> Iterator[tuple[str, JSON]]:
    if values is not None:
        yield group, None
        for name, value in values.items():
            yield group + name, value


def _flatten(value: Any, prefix: str) -> Iterator[tuple[str, JSON]]:
    """Yield the leaves of nested mappings under dotted keys."""
    for key, item in (value or {}).items():
        if isinstance(item, dict):
            yield from _flatten(item, f"{prefix}{key}.")
        else:
            yield prefix + key, item


def _package(package: Mapping[str, Any]) -> str:
    """Return the version of a package, and its origin if it was not installed from an index."""
    parts = [str(package.get("version", ""))]
    parts += ["editable"] if package.get("editable") else []
    parts += [str(package[key])[:12] for key in ("commit", "sha256") if package.get(key)]
    parts += [str(package["url"])] if package.get("url") else []
    return " ".join(parts)


def _libraries(found: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return a description of each library by its name; repeated names are numbered from 2."""
    named: dict[str, str] = {}
    for library in found:
        name, count = str(library.get("library")), 1
        while (key := f"{name} {count}" if count > 1 else name) in named:
            count += 1
        words = [str(library[k]) for k in ("version", "architecture", "threading") if k in library]
        named[key] = ", ".join([*words, f"{library.get('threads')} threads"])
    return named
