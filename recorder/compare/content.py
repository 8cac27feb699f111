"""Comparison of two files by their content."""

from __future__ import annotations

from pathlib import Path

from ..codec import Comparison, Numbers, conclude
from .readers import ByteSource, Pair, compare_pair, same_bytes


def compare_files(
    name: str,
    a: bytes | Path,
    b: bytes | Path,
    *,
    rtol: float = 0.0,
    atol: float = 0.0,
    numbers: Numbers | None = None,
    unlike: bool = False,
) -> Comparison:
    """Return the verdict on two files, given as bytes or as paths, which are memory-mapped.

    The format is taken from `name`, or else from the first bytes; see `recorder.compare.readers`. `rtol` is relative
    and without unit, `atol` is in the unit of the numbers, and `numbers` replaces both for tolerances that depend on
    the place. With `unlike`, the bytes are known to differ and are not compared first. Raises OSError for a path that
    cannot be read.
    """
    left, right = (
        ByteSource.at(side) if isinstance(side, Path) else ByteSource(side) for side in (a, b)
    )
    if not unlike and same_bytes(left.data, right.data):
        return Comparison(verdict="identical")
    near = numbers or Numbers(rtol=rtol, atol=atol)
    return conclude(compare_pair(Pair(name, left, right, numbers=near, compare=compare_pair)))
