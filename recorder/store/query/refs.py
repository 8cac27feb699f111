"""Names of runs: a number, a prefix of an id, ``last``, an experiment's name, a tag.

==========================  ==========================================================
``12``                      the run with that number
``last``, ``last~2``        the newest run that is not a replay, the second one before it
``last-replay``             the newest replay; ``last-replay~1`` is the one before it
``train``, ``train~1``      the newest run of the experiment, the one before it (no replays)
``k7c2``                    the run whose id begins with these characters (4 or more)
``paper``                   the only run with that tag
==========================  ==========================================================

`resolve` tries them in that order, and the first match wins. An id begins with a letter and is not a word,
so a number is never a prefix of an id. A run that was recorded inside a replay counts as a replay.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import msgspec

from ...errors import RunNotFoundError, TagError

LAST = "last"
LAST_REPLAY = "last-replay"
_BACK = re.compile(r"(?P<name>.+)~(?P<back>\d+)\Z", re.DOTALL)
_MIN_PREFIX = 4


class RunNames(msgspec.Struct, frozen=True):
    """The part of a record that can name the run; `replay_of` and `parent` tell replays from other runs."""

    number: int
    id: str
    experiment: str
    tags: tuple[str, ...] = ()
    replay_of: str | None = None
    parent: str | None = None


def split_ref(ref: str) -> tuple[str, int]:
    """Return the name, and how many runs to go back from it: ``train~2`` is ("train", 2)."""
    match = _BACK.match(ref)
    return (match["name"], int(match["back"])) if match else (ref, 0)


def resolve(ref: str, *, entries: Callable[[], Sequence[RunNames]]) -> int:
    """Return the number of the run that `ref` names among `entries`, which are ordered by number.

    Raises RunNotFoundError, with the nearest candidates, if it names no run or several.
    """
    runs = entries()
    if not runs:
        raise RunNotFoundError(f"no run {ref!r}: the store is empty", ref=ref)
    name, back = split_ref(ref)
    for find in (_by_number, _by_recency, _by_id, _by_tag):
        match = find(runs, name, back)
        if match is not None:
            return match.number
    raise _not_found(runs, ref)


def replay_ids(runs: Sequence[RunNames]) -> set[str]:
    """Return the ids of all replays, and of the runs that were recorded inside one; `runs` are ordered by number."""
    ids: set[str] = set()
    for entry in runs:  # a part begins after its parent, so the parent is in `ids` by then
        if entry.replay_of is not None or entry.parent in ids:
            ids.add(entry.id)
    return ids


def check_tag(tag: str) -> None:
    """Raise TagError for a tag that could not name a run, or that a command line would split."""
    if not tag or tag != tag.strip() or not tag.isprintable():
        raise TagError(
            f"{tag!r} cannot be a tag: a tag is printable and has no spaces around it", tag=tag
        )
    if tag.isdecimal() or tag in (LAST, LAST_REPLAY) or _BACK.match(tag) or is_range(tag):
        raise TagError(
            f"{tag!r} cannot be a tag: it names a run already, as a number or `last` does", tag=tag
        )
    if any(letter in tag for letter in ",:"):
        raise TagError(f"{tag!r} cannot be a tag: commas and colons separate names", tag=tag)


def is_range(ref: str) -> bool:
    """Return whether `ref` has the form in which ranges of numbers are printed: ``8-10``."""
    first, dash, last = ref.partition("-")
    return bool(dash) and first.isdecimal() and last.isdecimal()


def _by_number(runs: Sequence[RunNames], name: str, back: int) -> RunNames | None:
    if not name.isdecimal():
        return None
    at = [i for i, entry in enumerate(runs) if entry.number == int(name)]
    if not at:
        return None
    return _step_back(runs[: at[0] + 1], name, back)


def _by_recency(runs: Sequence[RunNames], name: str, back: int) -> RunNames | None:
    replays = replay_ids(runs)
    if name == LAST_REPLAY:
        return _step_back([entry for entry in runs if entry.id in replays], name, back)
    originals = [entry for entry in runs if entry.id not in replays]
    if name == LAST:
        return _step_back(originals, name, back)
    named = [entry for entry in originals if entry.experiment == name]
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
    if not runs:
        which = "replay" if name == LAST_REPLAY else "run that is not a replay"
        hint = "" if name == LAST_REPLAY else "; the newest replay is `last-replay`"
        raise RunNotFoundError(f"no run {name!r}: the store has no {which}{hint}", ref=name)
    if back >= len(runs):
        count = f"{len(runs)} run{'s' if len(runs) != 1 else ''}"
        raise RunNotFoundError(
            f"no run {name}~{back}: there are only {count} to count back from",
            ref=f"{name}~{back}",
            candidates=[str(entry.number) for entry in runs[:3]],
        )
    return runs[-1 - back]


def _only(matches: Sequence[RunNames], name: str) -> RunNames | None:
    if len(matches) > 1:
        names = [f"{entry.number} ({entry.id[:8]})" for entry in matches[-5:]]
        raise RunNotFoundError(
            f"{name!r} names {len(matches)} runs: {', '.join(names)}; give a number",
            ref=name,
            candidates=names,
        )
    return matches[0] if matches else None


def _not_found(runs: Sequence[RunNames], ref: str) -> RunNotFoundError:
    import difflib

    names = {entry.experiment for entry in runs} | {tag for entry in runs for tag in entry.tags}
    near = difflib.get_close_matches(ref, sorted(names), n=3)
    if not near and len(ref) >= 2:
        starts = [entry.id for entry in runs if entry.id.startswith(ref[:2].lower())]
        near = [id[:8] for id in starts[:3]]
    first, last = runs[0].number, runs[-1].number
    replays = [entry.number for entry in runs if entry.experiment == ref]
    if replays:  # the experiment has runs, but every one is a replay
        hint = f"the store has only replays of it, the newest is run {replays[-1]}"
    elif near:
        hint = f"did you mean {', '.join(near)}?"
    else:
        hint = f"the store has runs {first} to {last}"
    return RunNotFoundError(f"no run {ref!r}: {hint}", ref=ref, candidates=near)
