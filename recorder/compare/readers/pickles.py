"""Pickles, compared by their opcodes and never loaded.

Pickles that differ are opaque, because equal values can have different pickles: the order of sets and the sharing of
objects in memory vary.
"""

from __future__ import annotations

import pickletools
from collections.abc import Iterator
from itertools import islice, zip_longest
from typing import Any

from ...codec import Difference
from .pair import ByteSource, Pair

# Longer pickles are not compared by opcode: pickletools reads about a million per second.
_MOST_OPCODES = 2_000_000
_FRAMING = frozenset({"PROTO", "FRAME"})
_MEMOIZING = frozenset({"MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT"})
_RECALLING = frozenset({"GET", "BINGET", "LONG_BINGET"})
_ATOMS = frozenset({"text", "bytes"})
# joblib writes arrays between the opcodes, as raw bytes that look like opcodes.
_JOBLIB = b"joblib.numpy_pickle"
_REASON = "a pickle is never loaded, and its bytes differ"

Step = tuple[str, Any]


def compare_pickles(pair: Pair) -> Iterator[Difference]:
    """Yield nothing if the pickles differ only in framing and the sharing of atoms, or else an opaque difference."""
    steps = zip_longest(*(_steady_steps(pair, i) for i in range(2)))
    try:
        unlike = next(((a, b) for a, b in islice(steps, _MOST_OPCODES) if a != b), None)
        more = next(steps, None)
    except (ValueError, UnicodeDecodeError, IndexError, OverflowError):
        yield Difference(
            path=pair.path, what="opaque", note=f"{_REASON}; its opcodes are unreadable"
        )
        return
    if unlike is not None:
        left, right = (_text(step) for step in unlike)
        yield Difference(path=pair.path, what="opaque", left=left, right=right, note=_REASON)
    elif more is not None:
        yield Difference(
            path=pair.path, what="opaque", note=f"{_REASON}; it is too long to examine"
        )


def _steady_steps(pair: Pair, side: int) -> Iterator[Step]:
    """Yield the steps of a side, with strings in the form in which they are compared."""
    for name, argument in _steps(pair.sides[side]):
        is_text = name == "text" and pair.numbers.has_places
        yield name, pair.numbers.steady(argument, side) if is_text else argument


def _steps(side: ByteSource) -> Iterator[Step]:
    """Yield the opcodes without framing, with recalled atoms in place of the recall.

    Sharing of equal strings in memory is arbitrary and ignored; sharing of lists is content.
    """
    if _JOBLIB in side.data.tobytes():
        raise ValueError("raw arrays between the opcodes")
    memo: dict[int, Step] = {}
    shared = 0
    last: Step = ("", None)
    with side.open() as stream:
        for code, argument, _ in pickletools.genops(stream):
            if code.name in _MEMOIZING:
                key = len(memo) if code.name == "MEMOIZE" else int(argument or 0)
                memo[key] = last if last[0] in _ATOMS else ("recall", shared)
                shared += last[0] not in _ATOMS
            elif code.name in _RECALLING:
                last = memo.get(int(argument or 0), ("recall", None))
                yield last
            elif code.name not in _FRAMING:
                last = _step(code.name, argument)
                yield last
        yield ("trailing bytes", stream.read())


def _step(name: str, argument: Any) -> Step:
    if isinstance(argument, str) and "UNICODE" in name:
        return ("text", argument)
    if isinstance(argument, bytes):
        return ("bytes", argument)
    return (name, repr(argument) if isinstance(argument, float) else argument)


def _text(step: Step | None) -> str:
    if step is None:
        return "(its end)"
    name, argument = step
    return name if argument is None else f"{name} {str(argument)[:40]!r}"
