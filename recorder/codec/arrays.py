"""Comparison of two arrays in blocks that fit the processor's cache; no temporary is as large as the arrays."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from .differences import Difference, Numbers

# Elements per block: half a megabyte of float64, so that all passes over a block stay in the cache.
_BLOCK = 1 << 16
_NUMERIC = "biufc"
# Converts a block of stored bits (bfloat16 as uint16) to numbers.
Widen = Callable[[Any], Any]


def compare_arrays(
    path: str, a: Any, b: Any, numbers: Numbers, *, widen: Widen | None = None
) -> list[Difference]:
    """Compare two arrays of any shape; NaN equals NaN, and infinities are equal if their signs are.

    Returns no difference for equal arrays, or else a single one (one per field for structured dtypes) with the first
    differing index in C order, the number of differing elements, and the largest errors. Integers must match exactly
    unless an absolute tolerance is given. Equal values in different dtypes are reported with ``equal=True``. Each
    array is read once, so that memory maps work. `widen` converts stored bits of dtypes that NumPy lacks to numbers.
    """
    if a.shape != b.shape:
        return [Difference(path=path, what="shape", left=str(a.shape), right=str(b.shape))]
    if a.dtype.names or b.dtype.names:
        return _compare_fields(path, a, b, numbers)
    note = ""
    if a.dtype.newbyteorder("=") != b.dtype.newbyteorder("="):
        kinds = a.dtype.kind, b.dtype.kind
        if not (set(kinds) <= set(_NUMERIC) or kinds in (("S", "S"), ("U", "U"))):
            return [_other_dtype(path, a, b)]
        note = f"dtype {a.dtype} -> {b.dtype}"
    tally = _Tally(a, b, numbers, widen)
    if tally.count:
        return [tally.difference(path, note)]
    return [_other_dtype(path, a, b, equal=True)] if note else []


def _other_dtype(path: str, a: Any, b: Any, *, equal: bool = False) -> Difference:
    return Difference(path=path, what="dtype", left=str(a.dtype), right=str(b.dtype), equal=equal)


def _compare_fields(path: str, a: Any, b: Any, numbers: Numbers) -> list[Difference]:
    """Compare structured arrays field by field."""
    if a.dtype.names != b.dtype.names:
        return [_other_dtype(path, a, b)]
    found: list[Difference] = []
    for name in a.dtype.names:
        place = f"{path}[{name!r}]" if path else f"[{name!r}]"
        found += compare_arrays(place, a[name], b[name], numbers)
    return found


def _blocks(a: Any, b: Any, start: int = 0) -> Iterator[tuple[int, Any, Any]]:
    """Yield both arrays in blocks in C order: the flat index of the first element, and one-dimensional views."""
    if (a.flags.c_contiguous and b.flags.c_contiguous) or a.ndim < 2:
        left, right = a.reshape(-1), b.reshape(-1)
        for at in range(0, left.size, _BLOCK):
            yield start + at, left[at : at + _BLOCK], right[at : at + _BLOCK]
        return
    row = a.size // max(len(a), 1)
    if row > _BLOCK:
        for i in range(len(a)):
            yield from _blocks(a[i], b[i], start + i * row)
    elif row:
        step = _BLOCK // row
        for i in range(0, len(a), step):
            pieces = (array[i : i + step].reshape(-1) for array in (a, b))
            yield (start + i * row, *pieces)


class _Tally:
    """Accumulates over the blocks: first differing element, number of differences, largest errors, closeness."""

    def __init__(self, a: Any, b: Any, numbers: Numbers, widen: Widen | None) -> None:
        import numpy

        self._numpy = numpy
        self._numbers = numbers
        self._widen = widen
        self._shape = a.shape
        self._dtypes = a.dtype, b.dtype
        self._scratch = [numpy.empty(_BLOCK) for _ in range(3)]
        self._first: tuple[int, str, str] = (0, "", "")
        self.count = 0
        self._abs_error: float | None = None
        self._rel_error: float | None = None
        self._close = bool(numbers.atol or numbers.rtol)
        with numpy.errstate(all="ignore"):
            for start, x, y in _blocks(a, b):
                unlike = x != y
                if unlike.any():
                    self._add(start, x, y, unlike)

    def difference(self, path: str, note: str) -> Difference:
        """Return the accumulated difference."""
        at, left, right = self._first
        return Difference(
            path=path,
            left=left,
            right=right,
            abs_error=self._abs_error,
            rel_error=self._rel_error,
            close=self._close,
            index=tuple(int(i) for i in self._numpy.unravel_index(at, self._shape)),
            count=self.count,
            size=math.prod(self._shape),
            note=note,
        )

    def _add(self, start: int, x: Any, y: Any, unlike: Any) -> None:
        if self._widen is not None:
            x, y = self._widen(x), self._widen(y)
            unlike = x != y
            if not unlike.any():
                return
        kinds = {x.dtype.kind, y.dtype.kind}
        is_weighed = "f" in kinds and kinds <= set("biuf") and self._weigh_block(x, y)
        if not is_weighed:  # a weighed block has no NaN
            self._forgive_nans(x, y, unlike)
        count = int(self._numpy.count_nonzero(unlike))
        if not count:
            return
        if not self.count:
            at = int(unlike.argmax())
            left, right = str(x[at]), str(y[at])
            if left == right:  # 0.1 in float32 and in float64
                left, right = repr(x[at].item()), repr(y[at].item())
            self._first = start + at, left, right
        self.count += count
        if not kinds <= set(_NUMERIC):
            self._close = False
        elif kinds <= set("biu"):
            self._weigh_integers(x[unlike], y[unlike])
        elif not is_weighed:
            self._weigh(x[unlike], y[unlike])

    def _forgive_nans(self, x: Any, y: Any, unlike: Any) -> None:
        """Clear pairs of NaN in `unlike`; the parts of complex numbers are compared separately."""
        numpy = self._numpy
        if x.dtype.kind in "mM" and y.dtype.kind in "mM":
            unlike &= ~(numpy.isnat(x) & numpy.isnat(y))
        elif x.dtype.kind in "fc" and y.dtype.kind in "fc":
            suspects = unlike & (x != x)
            suspects &= y != y
            if suspects.any():
                unlike[suspects] = _nan_parts_differ(numpy, x[suspects], y[suspects])

    def _weigh_block(self, x: Any, y: Any) -> bool:
        """Add the errors of a block of real numbers; return False, without effect, if a number is not finite."""
        numpy = self._numpy
        off, scale, other = (buffer[: x.size] for buffer in self._scratch)
        numpy.subtract(x, y, out=off, dtype=numpy.float64)
        numpy.abs(off, out=off)
        worst = float(off.max())
        if not math.isfinite(worst):
            return False
        numpy.abs(x, out=scale, casting="unsafe")
        numpy.abs(y, out=other, casting="unsafe")
        numpy.maximum(scale, other, out=scale)
        numpy.divide(off, scale, out=other)
        # 0/0 gives NaN, which fmax ignores; at least one pair in the block differs, so the maximum exists.
        self._note_errors(worst, float(numpy.fmax.reduce(other)))
        if self._close:
            scale *= self._numbers.rtol
            scale += self._numbers.atol
            self._close = bool((off <= scale).all())
        return True

    def _weigh(self, x: Any, y: Any) -> None:
        """Add the errors of pairs that all differ; infinities and NaN are allowed."""
        numpy = self._numpy
        wide = numpy.complex128 if "c" in x.dtype.kind + y.dtype.kind else numpy.float64
        x, y = x.astype(wide), y.astype(wide)
        finite = numpy.isfinite(x) & numpy.isfinite(y)
        if not finite.all():
            self._note_errors(math.inf, math.inf)
            self._close = False
        off = numpy.abs(x - y)[finite]
        scale = numpy.maximum(numpy.abs(x), numpy.abs(y))[finite]
        if off.size:
            self._note_errors(float(off.max()), float((off / numpy.maximum(scale, 5e-324)).max()))
            allowed = self._numbers.atol + self._numbers.rtol * scale
            self._close = self._close and bool((off <= allowed).all())

    def _weigh_integers(self, x: Any, y: Any) -> None:
        """Add exact integer errors: the difference of two 64-bit integers fits uint64, even if the casts wrap."""
        numpy = self._numpy
        if self._signs_mixed(x, y):
            off = abs(x.astype(object) - y.astype(object))
            scale = numpy.maximum(abs(x.astype(object)), abs(y.astype(object)))
            worst, relative = float(off.max()), float((off / scale).max())
        else:
            high, low = numpy.maximum(x, y), numpy.minimum(x, y)
            off = high.astype(numpy.uint64) - low.astype(numpy.uint64)
            scale = numpy.maximum(abs(x.astype(numpy.float64)), abs(y.astype(numpy.float64)))
            worst, relative = float(off.max()), float((off / scale).max())
        self._note_errors(worst, relative)
        self._close = self._close and int(off.max()) <= self._numbers.atol

    def _signs_mixed(self, x: Any, y: Any) -> bool:
        """Return True if no integer dtype holds both (int64 and uint64), so that NumPy would compare them as floats."""
        return bool(self._numpy.result_type(x, y).kind == "f")

    def _note_errors(self, abs_error: float, rel_error: float) -> None:
        self._abs_error = max(abs_error, self._abs_error or 0.0)
        self._rel_error = max(rel_error, self._rel_error or 0.0)


def _nan_parts_differ(numpy: Any, x: Any, y: Any) -> Any:
    """Return a mask of pairs of NaN that differ: in a complex NaN, one of the parts can be a number."""
    differ = numpy.zeros(x.shape, dtype=bool)
    for left, right in ((x.real, y.real), (x.imag, y.imag)):
        differ |= (left != right) & ~(numpy.isnan(left) & numpy.isnan(right))
    return differ
