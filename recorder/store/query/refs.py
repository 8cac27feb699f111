"""References to runs: a number, a prefix of an id, ``last``, an experiment's name, a tag.

========================  ==========================================================
``12``                    the run of that number
``last``, ``last~2``      the newest run, the second one before it
``train``, ``train~1``    the newest run of the experiment, the one before it
``k7c2``                  the run whose id has this prefix (at least 4 characters)
``paper``                 the only run with this tag
========================  ==========================================================

They are tried in that order, and the first match wins. An id begins with a letter, so a number is never a prefix of one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import msgspec

from ...errors import RunNotFoundError, TagError

_BACK = re.compile(r"(?P<name>.+)~(?P<back>\d+)\Z", re.DOTALL)
_MIN_PREFIX = 4


class RunNames(msgspec.Struct, frozen=True):
    """The names of a run."""

    number: int
    id: str
    experiment: str
    tags: tuple[str, ...] = ()


def split_ref(ref: str) -> tuple[str, int]:
    """Split a reference into the name and the number of runs to go back: ``train~2`` is ("train", 2)."""
    match = _BACK.match(ref)
    return (match["name"], int(match["back"])) if match else (ref, 0)


def resolve(ref: str, *, entries: Callable[[], Sequence[RunNames]]) -> int:
    """Return the number of the run that `ref` names among `entries`, which must be in the order of their numbers.

    Raises RunNotFoundError, with similar names, if it names no run or several.
    """
    runs = entries()
    if not runs:
        raise RunNotFoundError(f"no run {ref!r}: the store is empty", ref=ref)
    name, back = split_ref(ref)
    for find in (_by_number, _by_recency, _by_id, _by_tag):
        found = find(runs, name, back)
        if found is not None:
            return found.number
    raise _not_found(runs, ref)


def check_tag(tag: str) -> None:
    """Raise TagError for a tag that could not name a run, or that a command line would split."""
    if not tag or tag != tag.strip() or not tag.isprintable():
        raise TagError(
            f"invalid tag {tag!r}: use printable characters without spaces around them", tag=tag
        )
    if tag.isdecimal() or tag == "last" or _BACK.match(tag):
        raise TagError(
            f"invalid tag {tag!r}: it already refers to a run, like a number or `last`", tag=tag
        )
    if any(letter in tag for letter in ",:"):
        raise TagError(f"invalid tag {tag!r}: commas and colons separate names", tag=tag)


def _by_number(runs: Sequence[RunNames], name: str, back: int) -> RunNames | None:
    if not name.isdecimal():
        return None
    at = [i for i, entry in enumerate(runs) if entry.number == int(name)]
    if not at:
        return None
    return _step_back(runs[: at[0] + 1], name, back)


def _by_recency(runs: Sequence[RunNames], name: str, back: int) -> RunNames | None:
    if name == "last":
        return _step_back(runs, name, back)
    named = [entry for entry in runs if entry.experiment == name]
    return _step_back(named, name, back) if named else None


def _by_id(runs: Sequence[RunNames], name: str, back: int) -> RunNames | None:
    if len(name) < _MIN_PREFIX or back:
        return None
    return _only([entry for entry in runs if entry.id.startswith(name.lower())], name)


def _by_tag(runs: Sequence[RunNames], name: str, back: int) -> RunNames | None:
    tagged = [entry for entry in runs if name in entry.tags]
    if back:
        return _step_back(tagged, name, back) if tagged else None
    return _only(tagged, name)


def _step_back(runs: Sequence[RunNames], name: str, back: int) -> RunNames:
    if back >= len(runs):
        count = f"{len(runs)} run{'s' if len(runs) != 1 else ''}"
        raise RunNotFoundError(
            f"no run {name}~{back}: there are only {count} to go back over",
            ref=f"{name}~{back}",
            candidates=[str(entry.number) for entry in runs[:3]],
        )
    return runs[-1 - back]


def _only(found: Sequence[RunNames], name: str) -> RunNames | None:
    if len(found) > 1:
        names = [f"{entry.number} ({entry.id[:8]})" for entry in found[-5:]]
        raise RunNotFoundError(
            f"{name!r} names {len(found)} runs: {', '.join(names)}; give a number",
            ref=name,
            candidates=names,
        )
    return found[0] if found else None


def _not_found(runs: Sequence[RunNames], ref: str) -> RunNotFoundError:
    names = {entry.experiment for entry in runs} | {tag for entry in runs for tag in entry.tags}
    import difflib

    near = difflib.get_close_matches(ref, sorted(names), n=3)
    if not near and len(ref) >= 2:
        starts = [entry.id for entry in runs if entry.id.startswith(ref[:2].lower())]
        near = [id[:8] for id in starts[:3]]
    first, last = runs[0].number, runs[-1].number
    hint = f"did you mean {', '.join(near)}?" if near else f"the store has runs {first} to {last}"
    return RunNotFoundError(f"no run {ref!r}: {hint}", ref=ref, candidates=near)
