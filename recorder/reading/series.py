"""The values of one metric over the steps of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

from ..points import Number, Point
from .html import escape, line_chart
from .loading import need


class Series(Sequence[Point]):
    """The points of a metric in the order in which they were logged; each has a step, a time and a value.

    >>> loss = record.series("loss")
    >>> loss
    <loss: 3 points, steps 0 to 2, last 0.25, min 0.25, max 1>
    >>> loss.steps, loss.values
    ([0, 1, 2], [1.0, 0.5, 0.25])
    >>> loss[-1].value
    0.25
    >>> loss.to_numpy()
    array([1.  , 0.5 , 0.25])
    """

    def __init__(self, name: str, points: Sequence[Point]) -> None:
        self.name = name
        self._points = tuple(points)

    @property
    def steps(self) -> list[Number]:
        """What the experiment counts, as given to `log`, else 0, 1, 2, ..."""
        return [point.step for point in self._points]

    @property
    def times_s(self) -> list[float]:
        """Seconds since the run began."""
        return [point.time_s for point in self._points]

    @property
    def values(self) -> list[Number]:
        """The numbers that were logged."""
        return [point.value for point in self._points]

    def to_numpy(self) -> Any:
        """The values as a NumPy array, shape (points,); of integers where all are."""
        return need("numpy", for_what="to_numpy()").asarray(self.values)

    def to_pandas(self) -> Any:
        """The values as a pandas Series of the metric's name, by step."""
        pandas = need("pandas", for_what="to_pandas()")
        return pandas.Series(self.values, pandas.Index(self.steps, name="step"), name=self.name)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return self.to_numpy() if dtype is None else self.to_numpy().astype(dtype)

    @overload
    def __getitem__(self, at: int) -> Point: ...
    @overload
    def __getitem__(self, at: slice) -> Series: ...
    def __getitem__(self, at: int | slice) -> Point | Series:
        if isinstance(at, slice):
            return Series(self.name, self._points[at])
        return self._points[at]

    def __len__(self) -> int:
        return len(self._points)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Series) and (self.name, self._points) == (
            other.name,
            other._points,
        )

    def __hash__(self) -> int:
        return hash((self.name, self._points))

    def __repr__(self) -> str:
        return f"<{self.name}: {self._summary()}>"

    def _summary(self) -> str:
        if not self._points:
            return "no points"
        numbers = [value for value in self.values if value == value] or [float("nan")]
        steps = self.steps
        what = "1 point" if len(self) == 1 else f"{len(self)} points"
        return (
            f"{what}, steps {min(steps):g} to {max(steps):g}, last {self.values[-1]:.6g},"
            f" min {min(numbers):.6g}, max {max(numbers):.6g}"
        )

    def _repr_html_(self) -> str:
        places = [(point.step, point.value) for point in self._points]
        return f"<div><b>{escape(self.name)}</b> {escape(self._summary())}<br>{line_chart(places)}</div>"
