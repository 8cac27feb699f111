"""NumPy's .npy files, never unpickled; .npz files are read as zip archives."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec

from ...codec import Difference
from ...codec.arrays import compare_arrays
from ...codec.numpy import map_array
from .pair import Pair, UnreadableError


def compare_npy(pair: Pair) -> Iterable[Difference]:
    """Compare two arrays without copying them."""
    need_numpy()
    left, right = (map_array(side.data) for side in pair.sides)
    return compare_arrays(pair.path, left, right, pair.numbers)


def need_numpy() -> None:
    """Raise UnreadableError if NumPy is not installed."""
    if find_spec("numpy") is None:
        raise UnreadableError("NumPy is not installed")
