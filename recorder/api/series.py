"""The values of one metric over the steps of a run."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, overload

from ..formats.points import Number, Point
from ..render.html import escape, line_chart
from .loading import need

if TYPE_CHECKING:
    import numpy
    import pandas

_INT64 = range(-(1 << 63), 1 << 63)


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

    What reads Arrow takes it as a table with the columns step, time_s and value: ``polars.DataFrame(loss)``,
    ``pandas.DataFrame.from_arrow(loss)``, ``duckdb.sql("select max(value) from loss")``. That is PyArrow's doing, or
    Polars'.
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

    def to_numpy(self) -> numpy.ndarray[Any, Any]:
        """The values as a NumPy array, shape (points,): int64 where all are whole, else float64."""
        found: numpy.ndarray[Any, Any] = need("numpy", for_what="to_numpy()").asarray(
            _numbers(self.values)
        )
        return found

    def to_pandas(self) -> pandas.Series[Any]:
        """The values as a pandas Series of the metric's name, by step."""
        pandas = need("pandas", for_what="to_pandas()")
        steps = pandas.Index(_numbers(self.steps), name="step")
        return pandas.Series(_numbers(self.values), steps, name=self.name)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return _arrow_table(
            {
                "step": _numbers(self.steps),
                "time_s": self.times_s,
                "value": _numbers(self.values),
            }
        ).__arrow_c_stream__(requested_schema)

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


def _numbers(values: list[Number]) -> list[Number]:
    """Whole numbers where all are, and none is beyond 64 bits; else floats."""
    if all(isinstance(value, int) and value in _INT64 for value in values):
        return values
    return list(map(float, values))


def _arrow_table(columns: dict[str, list[Any]]) -> Any:
    """A table that can be had as an Arrow stream. Raises MissingPackageError where nothing here makes one."""
    if find_spec("pyarrow") is None and find_spec("polars") is not None:
        return need("polars", for_what="an Arrow table").DataFrame(columns)
    return need("pyarrow", for_what="an Arrow table").table(columns)
