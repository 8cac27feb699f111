"""Several runs in a row: what a query of the store gives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, overload

from .run import Run

if TYPE_CHECKING:
    import pandas


class Runs(Sequence[Run]):
    """Records in the order of their numbers, by their places from 0; shown as the table of `recorder list`.

    >>> runs = store.runs(where="lr >= 0.1")
    >>> [record.number for record in runs], runs[-1].number
    ([2], 2)

    The curves of a metric beside each other:

    >>> import pandas
    >>> curves = {run.number: run.series("loss").to_pandas() for run in store.runs()}
    >>> pandas.DataFrame(curves).loc[1].to_dict()
    {1: 0.5, 2: 0.5}
    """

    def __init__(self, records: Sequence[Run]) -> None:
        self._records = tuple(records)

    def frame(self) -> pandas.DataFrame:
        """The runs as a pandas DataFrame, see `recorder.api.frame`. Raises MissingPackageError without pandas."""
        from .frame import make_frame

        return make_frame([record.document for record in self])

    @overload
    def __getitem__(self, at: int) -> Run: ...
    @overload
    def __getitem__(self, at: slice) -> Runs: ...
    def __getitem__(self, at: int | slice) -> Run | Runs:
        return Runs(self._records[at]) if isinstance(at, slice) else self._records[at]

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[Run]:
        return iter(self._records)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Runs) and self._records == other._records

    def __hash__(self) -> int:
        return hash(self._records)

    def __repr__(self) -> str:
        from .notebook import SHOWN, runs_text

        return runs_text([record.document for record in self[-SHOWN:]], count=len(self))

    def _repr_html_(self) -> str:
        from .notebook import SHOWN, runs_html

        return runs_html([record.document for record in self[-SHOWN:]], count=len(self))
