"""The points of one metric of a run."""

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

    >>> loss = run.series("loss")
    >>> loss
    <loss: 3 points, steps 0 to 2, last 0.25, min 0.25, max 1>
    >>> loss.steps, loss.values
    ([0, 1, 2], [1.0, 0.5, 0.25])
    >>> loss[-1].value
    0.25
    >>> loss.to_numpy()
    array([1.  , 0.5 , 0.25])

    Libraries that read Arrow see a table with the columns step, time_s and value: ``polars.DataFrame(loss)``,
    ``pandas.DataFrame.from_arrow(loss)``, ``duckdb.sql("select max(value) from loss")``. This needs PyArrow or Polars.
    """

    def __init__(self, name: str, points: Sequence[Point]) -> None:
        self.name = name
        self._points = tuple(points)

    @property
    def steps(self) -> list[Number]:
        """The steps that were passed to `log`; 0, 1, 2, ... where none were."""
        return [point.step for point in self._points]

    @property
    def times_s(self) -> list[float]:
        """The times in seconds since the run started."""
        return [point.time_s for point in self._points]

    @property
    def values(self) -> list[Number]:
        """The logged values."""
        return [point.value for point in self._points]

    def to_numpy(self) -> numpy.ndarray[Any, Any]:
        """Return the values as an array of shape (points,): int64 if all are integers, else float64."""
        found: numpy.ndarray[Any, Any] = need("numpy", for_what="to_numpy()").asarray(
            _numbers(self.values)
        )
        return found

    def to_pandas(self) -> pandas.Series[Any]:
        """Return the values as a pandas Series named after the metric, indexed by step."""
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
    """Return integers if all values are integers that fit into 64 bits, else floats."""
    if all(isinstance(value, int) and value in _INT64 for value in values):
        return values
    return list(map(float, values))


def _arrow_table(columns: dict[str, list[Any]]) -> Any:
    """Return a table that exports an Arrow stream. Raises MissingPackageError if no installed library makes one."""
    if find_spec("pyarrow") is None and find_spec("polars") is not None:
        return need("polars", for_what="an Arrow table").DataFrame(columns)
    return need("pyarrow", for_what="an Arrow table").table(columns)
