"""Two files held against each other: identical to the byte, equal or close in content, or different."""

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
    """The verdict on two files of that name, given as bytes or as the paths where they lie, which are mapped.

    The format is that of the name, or of how the bytes begin; see `recorder.compare.readers`. `numbers`, where
    given, says what is close in the place of `rtol` and `atol`; `unlike` says that the bytes are known not to be the
    same. Raises OSError for a path that cannot be read.
    """
    left, right = (
        ByteSource.at(side) if isinstance(side, Path) else ByteSource(side) for side in (a, b)
    )
    if not unlike and same_bytes(left.data, right.data):
        return Comparison(verdict="identical")
    near = numbers or Numbers(rtol=rtol, atol=atol)
    return conclude(compare_pair(Pair(name, left, right, numbers=near, compare=compare_pair)))
