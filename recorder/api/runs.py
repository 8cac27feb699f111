"""A sequence of runs: the result of a query of the store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, overload

from ..compare.direction import Directions
from ..compare.groups import sort_by_value
from ..errors import RunNotFoundError
from ..store.query.fields import parse_key
from .run import Run

if TYPE_CHECKING:
    import pandas


class Runs(Sequence[Run]):
    """Runs in an order, by position from 0; displayed as the table of ``recorder list``.

    >>> runs = store.runs(where="lr >= 0.1")
    >>> [run.number for run in runs], runs[-1].number
    ([2], 2)

    Put the curves of a metric side by side:

    >>> import pandas
    >>> curves = {run.number: run.series("loss").to_pandas() for run in store.runs()}
    >>> pandas.DataFrame(curves).loc[1].to_dict()
    {1: 0.5, 2: 0.5}
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        self._runs = tuple(runs)

    def frame(self) -> pandas.DataFrame:
        """Return the runs as a pandas DataFrame, see `recorder.api.frame.make_frame`.

        Raises:
            MissingPackageError: pandas is not installed.
        """
        from .frame import make_frame

        return make_frame([run.document for run in self])

    def sorted(self, name: str) -> Runs:
        """Return the runs ordered by a field, config key or metric; ``"-loss"`` for the largest first.

        Runs without a value come last.

        >>> [run.number for run in store.runs().sorted("-lr")]
        [2, 1]
        """
        value = parse_key(name.removeprefix("-"))
        pairs = [(value(run.document.to_document()), run) for run in self]
        return Runs(sort_by_value(pairs, reverse=name.startswith("-")))

    def best(self, metric: str, *, maximize: bool | None = None) -> Run:
        """Return the finished run with the best last value of a metric; of equal ones the oldest.

        >>> store.runs().best("loss").number
        1

        Args:
            metric: The metric's name.
            maximize: True if a higher value is better, False if a lower one is. By default the name decides:
                ``accuracy`` is maximized, ``val_loss`` is minimized.

        Raises:
            ValueError: The name does not tell the direction, and `maximize` is not given.
            RunNotFoundError: No finished run has a finite value of the metric.
        """
        direction = Directions().of(metric) if maximize is None else ("up" if maximize else "down")
        if direction is None:
            raise ValueError(
                f"cannot tell whether a higher {metric!r} is better; pass maximize=True or maximize=False"
            )
        sign = -1.0 if direction == "up" else 1.0
        ranked: list[tuple[float, int, Run]] = []
        for run in self:
            known = run.metrics.get(metric)
            last = None if known is None or run.status != "finished" else known.last
            if isinstance(last, int | float) and last == last:  # NaN is never the best
                ranked.append((sign * last, run.number, run))
        if not ranked:
            raise RunNotFoundError(f"no finished run has the metric {metric!r}", ref=metric)
        return min(ranked, key=lambda entry: entry[:2])[2]

    @overload
    def __getitem__(self, at: int) -> Run: ...
    @overload
    def __getitem__(self, at: slice) -> Runs: ...
    def __getitem__(self, at: int | slice) -> Run | Runs:
        return Runs(self._runs[at]) if isinstance(at, slice) else self._runs[at]

    def __len__(self) -> int:
        return len(self._runs)

    def __iter__(self) -> Iterator[Run]:
        return iter(self._runs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Runs) and self._runs == other._runs

    def __hash__(self) -> int:
        return hash(self._runs)

    def __repr__(self) -> str:
        from .notebook import SHOWN, runs_text

        return runs_text([run.document for run in self[-SHOWN:]], count=len(self))

    def _repr_html_(self) -> str:
        from .notebook import SHOWN, runs_html

        return runs_html([run.document for run in self[-SHOWN:]], count=len(self))
