"""The store as one holds it in a script or a notebook: a sequence of the records in it."""

from __future__ import annotations

import json
import logging
import operator
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex, TypeAlias, overload

from .. import records
from ..errors import RunNotFoundError
from ..store import store as low
from ..store.catalogue import Where
from ..store.contents import nearest
from .diff import Diff
from .record import Record
from .replay import Replay
from .runs import Runs

if TYPE_CHECKING:
    import pandas

    from ..run import Run
    from ..store.journal import Journal

# What a run is asked for by: its number, any address (see `recorder.store.address`), its record, or while it lasts.
Ref: TypeAlias = "SupportsIndex | str | Record | Run"

_logger = logging.getLogger("recorder")


class Store:
    """The store in the folder `path`, or the one found from the working directory upwards.

    A sequence of records by their numbers, which begin at 1; one that was removed leaves a gap. -1 is the newest.

    >>> store = Store()
    >>> len(store), store[2].number, store["train~1"].number, store["last"].number, store[-1].number
    (2, 2, 1, 2, 2)
    >>> [record.config["lr"] for record in store]
    [0.05, 0.1]
    >>> 2 in store, "nothing" in store
    (True, False)
    >>> store[-2:].frame()["config.lr"].to_dict()
    {1: 0.05, 2: 0.1}

    Raises StoreNotFoundError where there is none (unless `create`), StoreFormatError where the folder is something else
    or a store of a newer format.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, *, create: bool = False) -> None:
        self._low = low.Store(path, create=create)

    @property
    def path(self) -> Path:
        """Its folder."""
        return self._low.path

    @property
    def id(self) -> str:
        """Its id, which its copies have too."""
        return str(self._low.id)

    @property
    def database(self) -> Journal:
        """The TinyDB database of the records' documents, in its table "runs" under their numbers; to be read only."""
        return self._low.journal

    # One run

    def find(self, ref: Ref) -> Record:
        """The record of a run: by number, the beginning of an id, ``last``, ``last~2``, ``train``, ``train~1``, a tag.

        For a record, the same run as it is now. Raises RunNotFoundError, with the nearest names.
        """
        return Record(self._low, self._find(ref))

    def last(self, experiment: str | None = None) -> Record:
        """The newest run, or that of the experiment. Raises RunNotFoundError.

        >>> store.last("train").number
        2
        """
        number = self._low.newest(experiment)
        if number is None:
            raise self._no_last(experiment)
        return Record(self._low, self._low.get(number))

    def _no_last(self, experiment: str | None) -> RunNotFoundError:
        names = sorted({entry.experiment for entry in self._low.entries()})
        if experiment is None or not names:
            what = f"the store is empty: {self.path}"
            return RunNotFoundError(what, ref=experiment or "last")
        hint, near = nearest(experiment, names)
        what = f"no run of {experiment!r} in {self.path}: {hint}"
        return RunNotFoundError(what, ref=experiment, candidates=near)

    @overload
    def __getitem__(self, ref: Ref) -> Record: ...
    @overload
    def __getitem__(self, ref: slice) -> Runs: ...
    def __getitem__(self, ref: Ref | slice) -> Record | Runs:
        if isinstance(ref, slice):
            wanted = self._slice(ref)
            return Runs([Record(self._low, self._low.get(number)) for number in wanted])
        return self.find(ref)

    def __contains__(self, ref: object) -> bool:
        try:
            self._find(ref)  # type: ignore[arg-type]
        except RunNotFoundError:
            return False
        return True

    # Many

    def __len__(self) -> int:
        return len(self._low)

    def __iter__(self) -> Iterator[Record]:
        return (Record(self._low, found) for found in self._low)

    def __reversed__(self) -> Iterator[Record]:
        return (Record(self._low, found) for found in reversed(self._low))

    def runs(self, where: str | Where | None = None) -> Runs:
        """All runs, or those that `where` says: a query as in `recorder list --where`, one of TinyDB's, or a function.

        TinyDB's, and the function, see a run's document (`recorder show --json`). One that cannot be read is left out,
        with a warning. Raises QueryError.

        >>> from tinydb import where
        >>> len(store.runs('lr > 0.05 and status == "finished"'))
        1
        >>> len(store.runs(where("metrics").loss.last < 0.5))
        2
        """
        return Runs([Record(self._low, found) for found in self._low.runs(where=where)])

    def frame(self, where: str | Where | None = None) -> pandas.DataFrame:
        """The runs as a pandas DataFrame, a row each, see `recorder.reading.frame`.

        Raises MissingPackageError without pandas, QueryError.
        """
        return self.runs(where).frame()

    # Comparing and running again

    def diff(
        self,
        a: Ref,
        b: Ref | Path = ".",
        *,
        maximize: Iterable[str] = (),
        minimize: Iterable[str] = (),
    ) -> Diff:
        """What is different about two runs; for a folder (``"."``, the default, or a Path) what has changed since `a`.

        `maximize` and `minimize` name metrics of which more or less is better. Raises RunNotFoundError, SnapshotError.
        """
        from ..compare.direction import Directions
        from ..comparison import is_folder, sides

        if isinstance(b, str) and is_folder(b):
            b = Path(b)
        other = b if isinstance(b, Path) else self._find(b)
        found = sides(self._low, self._find(a), other).diff(
            Directions(tuple(maximize), tuple(minimize))
        )
        return Diff(a=found.a, b=found.b, sections=found.sections)

    def replay(
        self,
        run: Ref,
        *,
        settings: Mapping[str, Any] | None = None,
        secrets: Mapping[str, str] | None = None,
        inputs: Mapping[str, str] | None = None,
        rtol: float | None = None,
        atol: float | None = None,
        here: bool = False,
        live_inputs: bool = False,
    ) -> Replay:
        """Run it again in a clean workspace and a process of its own, and compare: `recorder replay`.

        `settings` changes the config by dotted keys, and leaves nothing to compare with; the other arguments are as of
        `recorder.replay.request.Request`. What it is going to do goes to the logger ``recorder``. Raises ReplayError
        where it cannot be done, ConfigError.
        """
        from ..replay.replay import replay
        from ..replay.request import Request

        request = Request(
            settings={key: _text(value) for key, value in (settings or {}).items()},
            secrets=secrets or {},
            inputs=inputs or {},
            rtol=rtol,
            atol=atol,
            here=here,
            live_inputs=live_inputs,
        )
        return Replay(
            self._low, replay(self._low, self._find(run), request=request, say=_logger.info)
        )

    # Keeping order

    def tag(self, runs: Ref | Iterable[Ref], *tags: str) -> Runs:
        """Give a run, or several, tags; their records as they are now. Raises RunNotFoundError, TagError.

        >>> store.tag(2, "paper")[0].tags
        ('paper',)
        """
        return self._annotated(self._low.retag(self._numbers(runs), add=tags))

    def untag(self, runs: Ref | Iterable[Ref], *tags: str) -> Runs:
        """Take tags from a run, or several; their records as they are now. Raises RunNotFoundError."""
        return self._annotated(self._low.retag(self._numbers(runs), remove=tags))

    def note(self, runs: Ref | Iterable[Ref], text: str) -> Runs:
        """Give a run, or several, a note in the place of the one there is; their records. Raises RunNotFoundError."""
        numbers = self._numbers(runs)
        return self._annotated([self._low.annotate(number, note=text) for number in numbers])

    def trust(self, run: Ref) -> Runs:
        """Sign the run as one's own, with all that came from the same place: `recorder replay --trust`.

        From then on its code may be run, and its pickles loaded, which does whatever whoever made them wanted.
        """
        numbers = self._low.trust(self._find(run))
        return self._annotated(self._low.get(number) for number in numbers)

    def _annotated(self, found: Iterable[records.Record]) -> Runs:
        return Runs([Record(self._low, record) for record in found])

    def _numbers(self, runs: Ref | Iterable[Ref]) -> list[int]:
        several = [runs] if isinstance(runs, str) or not isinstance(runs, Iterable) else runs
        return [self._find(ref).number for ref in several]

    def _find(self, ref: Ref) -> records.Record:
        if isinstance(ref, str):
            return self._low.find(ref)
        if hasattr(ref, "__index__"):  # NumPy's integers too, of which a frame's index is
            number = operator.index(ref)
            return self._low.get(number if number >= 0 else self._from_end(number))
        if not isinstance(getattr(ref, "id", None), str):
            raise TypeError(f"a run's number, name or record, not {ref!r}")
        if ref.number in self._low.numbers() and (same := self._low.get(ref.number)).id == ref.id:
            return same
        found = self._low.find_id(ref.id)
        if found is None:
            raise RunNotFoundError(f"run {ref.id} is not in {self.path}", ref=ref.id)
        return found

    def _from_end(self, ref: int) -> int:
        numbers = self._low.numbers()
        if -ref > len(numbers):
            raise RunNotFoundError(f"no run {ref}: there are {len(numbers)}", ref=str(ref))
        return numbers[ref]

    def _slice(self, wanted: slice) -> list[int]:
        """The numbers from `start` and below `stop`; negative ones count from the end."""
        numbers = self._low.numbers()

        def bound(at: int | None, *, none: float) -> float:
            if at is None:
                return none
            if at >= 0:
                return at
            return numbers[at] if -at <= len(numbers) else 0

        low_, high = bound(wanted.start, none=0), bound(wanted.stop, none=float("inf"))
        return [number for number in numbers if low_ <= number < high][:: wanted.step]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Store) and self.path == other.path

    def __hash__(self) -> int:
        return hash(self.path)

    def __repr__(self) -> str:
        count = len(self)
        return f"<Store {self.path}: {count} run{'s' * (count != 1)}>"

    def _repr_html_(self) -> str:
        from .html import escape
        from .showing import SHOWN, runs_html

        found = self._low.runs(last=SHOWN)
        return f"<div><b>{escape(repr(self)[1:-1])}</b>{runs_html(found, count=len(self))}</div>"


def _text(value: Any) -> str:
    """A value as one would write it on the command line."""
    return value if isinstance(value, str) else json.dumps(value)
