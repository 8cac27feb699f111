"""The store as one holds it in a script or a notebook: a sequence of the records in it."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from .. import records
from ..errors import RunNotFoundError
from ..store import store as low
from ..store.query.catalogue import Where
from .diff import RunDiff
from .reference import Ref, find, find_last, find_numbers, slice_numbers
from .replay import Replay
from .run import Run
from .runs import Runs

if TYPE_CHECKING:
    import pandas

    from ..store.journal.table import Journal

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
        self._low = low.RunStore(path, create=create)

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

    def find(self, ref: Ref) -> Run:
        """The record of a run: by number, the beginning of an id, ``last``, ``last~2``, ``train``, ``train~1``, a tag.

        For a record, the same run as it is now. Raises RunNotFoundError, with the nearest names.
        """
        return Run(self._low, find(self._low, ref))

    def last(self, experiment: str | None = None) -> Run:
        """The newest run, or that of the experiment. Raises RunNotFoundError.

        >>> store.last("train").number
        2
        """
        return Run(self._low, find_last(self._low, experiment))

    @overload
    def __getitem__(self, ref: Ref) -> Run: ...
    @overload
    def __getitem__(self, ref: slice) -> Runs: ...
    def __getitem__(self, ref: Ref | slice) -> Run | Runs:
        if isinstance(ref, slice):
            wanted = slice_numbers(self._low, ref)
            return Runs([Run(self._low, self._low.get(number)) for number in wanted])
        return self.find(ref)

    def __contains__(self, ref: object) -> bool:
        try:
            find(self._low, ref)  # type: ignore[arg-type]
        except (RunNotFoundError, TypeError):
            return False
        return True

    def _ipython_key_completions_(self) -> list[str]:
        entries = self._low.entries()
        tags = (tag for entry in entries for tag in entry.tags)
        return list(dict.fromkeys(["last", *(entry.experiment for entry in entries), *tags]))

    # Many

    def __len__(self) -> int:
        return len(self._low)

    def __iter__(self) -> Iterator[Run]:
        return (Run(self._low, found) for found in self._low)

    def __reversed__(self) -> Iterator[Run]:
        return (Run(self._low, found) for found in reversed(self._low))

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
        return Runs([Run(self._low, found) for found in self._low.runs(where=where)])

    def frame(self, where: str | Where | None = None) -> pandas.DataFrame:
        """The runs as a pandas DataFrame, a row each, see `recorder.api.frame`.

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
    ) -> RunDiff:
        """What is different about two runs; for a folder (``"."``, the default, or a Path) what has changed since `a`.

        `maximize` and `minimize` name metrics of which more or less is better. Raises RunNotFoundError, SnapshotError.
        """
        from ..compare.direction import Directions
        from ..recording.comparison import is_folder, sides

        if isinstance(b, str) and is_folder(b):
            b = Path(b)
        other = b if isinstance(b, Path) else find(self._low, b)
        found = sides(self._low, find(self._low, a), other).diff(
            Directions(tuple(maximize), tuple(minimize))
        )
        return RunDiff(a=found.a, b=found.b, sections=found.sections)

    def replay(
        self,
        run: Ref,
        *,
        settings: Mapping[str, Any] | None = None,
        secrets: Mapping[str, str] | None = None,
        inputs: Mapping[str, str] | None = None,
        env: str | os.PathLike[str] = "same",
        rtol: float | None = None,
        atol: float | None = None,
        current_code: bool = False,
        current_inputs: bool = False,
    ) -> Replay:
        """Run it again in a clean workspace and a process of its own, and compare: `recorder replay`.

        `settings` changes the config by dotted keys, and leaves nothing to compare with; `env` is an interpreter, the
        folder of a virtual environment, or ``"rebuild"`` for the recorded environment, installed again; the other
        arguments are as of `recorder.replay.request.Request`. What it is going to do goes to the logger ``recorder``.
        Raises ReplayError where it cannot be done, ConfigError.
        """
        from ..environments.interpreter import choose_python
        from ..replay.replay import replay
        from ..replay.request import Request

        request = Request(
            settings={key: _text(value) for key, value in (settings or {}).items()},
            secrets=secrets or {},
            inputs=inputs or {},
            rtol=rtol,
            atol=atol,
            current_code=current_code,
            current_inputs=current_inputs,
            **choose_python(os.fspath(env)),
        )
        return Replay(
            self._low, replay(self._low, find(self._low, run), request=request, say=_logger.info)
        )

    # Keeping order

    def tag(self, runs: Ref | Iterable[Ref], *tags: str) -> Runs:
        """Give a run, or several, tags; their records as they are now. Raises RunNotFoundError, TagError.

        >>> store.tag(2, "paper")[0].tags
        ('paper',)
        """
        return self._bound(self._low.retag(find_numbers(self._low, runs), add=tags))

    def untag(self, runs: Ref | Iterable[Ref], *tags: str) -> Runs:
        """Take tags from a run, or several; their records as they are now. Raises RunNotFoundError."""
        return self._bound(self._low.retag(find_numbers(self._low, runs), remove=tags))

    def note(self, runs: Ref | Iterable[Ref], text: str) -> Runs:
        """Give a run, or several, a note in the place of the one there is; their records. Raises RunNotFoundError."""
        numbers = find_numbers(self._low, runs)
        return self._bound([self._low.annotate(number, note=text) for number in numbers])

    def remove(self, runs: Ref | Iterable[Ref]) -> Runs:
        """Put a run, or several, into the trash, from where `recorder remove --undo` takes them back; their records.

        Raises RunNotFoundError, or RunInUseError for one in progress.
        """
        return self._bound(self._low.remove(find_numbers(self._low, runs)))

    def trust(self, run: Ref) -> Runs:
        """Sign the run as one's own, with all that came from the same place: `recorder replay --trust`.

        From then on its code may be run, and its pickles loaded, which does whatever whoever made them wanted.
        """
        numbers = self._low.trust(find(self._low, run))
        return self._bound(self._low.get(number) for number in numbers)

    def _bound(self, found: Iterable[records.Record]) -> Runs:
        return Runs([Run(self._low, record) for record in found])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Store) and self.path == other.path

    def __hash__(self) -> int:
        return hash(self.path)

    def __repr__(self) -> str:
        count = len(self)
        return f"<Store {self.path}: {count} run{'s' * (count != 1)}>"

    def _repr_html_(self) -> str:
        from ..render.html import escape
        from .notebook import SHOWN, runs_html

        found = self._low.runs(last=SHOWN)
        return f"<div><b>{escape(repr(self)[1:-1])}</b>{runs_html(found, count=len(self))}</div>"


def _text(value: Any) -> str:
    """A value as one would write it on the command line."""
    if isinstance(value, str | os.PathLike):
        return os.fspath(value)
    return json.dumps(value, default=lambda one: one.item() if hasattr(one, "item") else str(one))
