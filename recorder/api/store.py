"""The store in a script or a notebook: a mapping from numbers, ids and names to runs."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import records
from ..errors import RunNotFoundError
from ..store.query.catalogue import Where
from ..store.store import RunStore
from .diff import RunDiff
from .reference import Ref, find, find_last, find_numbers
from .replay import Replay
from .run import Run
from .runs import Runs

if TYPE_CHECKING:
    import pandas

    from ..store.archive.transfer import Exported
    from ..store.journal.table import Journal
    from ..store.maintenance.check import RepairResult
    from ..store.maintenance.disk_usage import Sizes
    from ..store.maintenance.gc import Freed

_logger = logging.getLogger("recorder")


class Store:
    """The store in the folder `path`, or the first one found from the working directory upwards.

    A store maps numbers (from 1), ids and names to runs; iterating over it yields the runs in the order of their
    numbers. `runs` returns a sequence, which can be sliced.

    >>> store = Store()
    >>> len(store), store[2].number, store["train~1"].number, store["last"].number
    (2, 2, 1, 2)
    >>> [run.config["lr"] for run in store]
    [0.05, 0.1]
    >>> 2 in store, "nothing" in store
    (True, False)
    >>> store.runs()[-2:].frame()["config.lr"].to_dict()
    {1: 0.05, 2: 0.1}

    Args:
        path: The store's folder, or the folder that contains it as `.recorder`.
        create: Create the store if there is none.

    Raises:
        StoreNotFoundError: There is no store and `create` is false.
        StoreFormatError: The folder is something else, or a newer version of recorder wrote it.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, *, create: bool = False) -> None:
        self._store = RunStore(path, create=create)

    @property
    def path(self) -> Path:
        """The store's folder."""
        return self._store.path

    @property
    def id(self) -> str:
        """The store's id. Copies of the store have the same id."""
        return str(self._store.id)

    @property
    def database(self) -> Journal:
        """The TinyDB database, read-only: the table "runs" holds each run's document under its number."""
        return self._store.journal

    # One run

    def find(self, ref: Ref) -> Run:
        """Return a run by number, id prefix (4 characters and up), name or tag, as it is now.

        Names are ``last``, ``last~2``, an experiment's name for its newest run, ``train~1`` for the one before it, and
        tags. A `Run` is read again. ``store[ref]`` does the same.

        Raises:
            RunNotFoundError: No run is called that; the error suggests similar names.
        """
        return Run(self._store, find(self._store, ref))

    def last(self, experiment: str | None = None) -> Run:
        """Return the newest run, or the newest run of `experiment`.

        >>> store.last("train").number
        2

        Raises:
            RunNotFoundError: There is none.
        """
        return Run(self._store, find_last(self._store, experiment))

    def __getitem__(self, ref: Ref) -> Run:
        return self.find(ref)

    def __contains__(self, ref: object) -> bool:
        try:
            find(self._store, ref)  # type: ignore[arg-type]
        except (RunNotFoundError, TypeError):
            return False
        return True

    def _ipython_key_completions_(self) -> list[str]:
        entries = self._store.entries()
        tags = (tag for entry in entries for tag in entry.tags)
        return list(dict.fromkeys(["last", *(entry.experiment for entry in entries), *tags]))

    # Many runs

    def __len__(self) -> int:
        return len(self._store)

    def __iter__(self) -> Iterator[Run]:
        return (Run(self._store, record) for record in self._store)

    def runs(
        self,
        where: str | Where | None = None,
        *,
        experiment: str | None = None,
        tag: str | Iterable[str] | None = None,
        failed: bool = False,
        sort: str | None = None,
        limit: int | None = None,
    ) -> Runs:
        """Return the runs that match all conditions, in the order of their numbers.

        >>> from tinydb import where
        >>> len(store.runs('lr > 0.05 and status == "finished"'))
        1
        >>> len(store.runs(where("metrics").loss.last < 0.5))
        2
        >>> [run.number for run in store.runs(experiment="train", sort="-lr", limit=1)]
        [2]

        Args:
            where: A query as in ``recorder list --where``, a TinyDB query, or a function of a run's document (the
                document of ``recorder show --json``).
            experiment: Only runs of this experiment.
            tag: Only runs that have this tag, or all of these tags.
            failed: Only runs that failed, were interrupted or got lost.
            sort: Order by this field, config key or metric, as in ``recorder list --sort``; ``"-loss"`` for the
                largest first. Runs without a value come last.
            limit: With `sort` the first `limit` runs, else the newest ones.

        A run whose document cannot be read is left out, with a warning.

        Raises:
            QueryError: The query cannot be parsed, or names what no run has.
        """
        tags = {tag} if isinstance(tag, str) else set(tag or ())
        found = [
            record
            for record in self._store.runs(where=where)
            if (experiment is None or record.experiment == experiment)
            and tags <= set(record.tags)
            and (not failed or record.status in ("failed", "interrupted", "lost"))
        ]
        runs = self._bind(found)
        if sort is None:
            return runs if limit is None else runs[len(runs) - min(limit, len(runs)) :]
        return runs.sorted(sort)[:limit]

    def frame(self, where: str | Where | None = None, **conditions: Any) -> pandas.DataFrame:
        """Return the runs as a pandas DataFrame with one row per run, see `recorder.api.frame.make_frame`.

        Args:
            where: See `runs`.
            conditions: The keyword arguments of `runs`.

        Raises:
            MissingPackageError: pandas is not installed.
            QueryError: See `runs`.
        """
        return self.runs(where, **conditions).frame()

    # Compare and replay

    def diff(
        self,
        a: Ref,
        b: Ref | Path = ".",
        *,
        maximize: Iterable[str] = (),
        minimize: Iterable[str] = (),
    ) -> RunDiff:
        """Return the differences between two runs, or between a run and a working tree.

        Args:
            a: A run.
            b: A run, or a folder (``"."``, the default, or a Path): then the differences since `a`.
            maximize: Metrics of which a higher value is better, where the name does not tell.
            minimize: Metrics of which a lower value is better.

        Raises:
            RunNotFoundError: One of the runs does not exist.
            SnapshotError: The code of a run, or a file of the folder, cannot be read.
        """
        from ..compare.direction import Directions
        from ..recording.worktree import is_folder, sides

        if isinstance(b, str) and is_folder(b):
            b = Path(b)
        other = b if isinstance(b, Path) else find(self._store, b)
        found = sides(self._store, find(self._store, a), other).diff(
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
        keep_workspace: bool = False,
        repeat: int = 1,
        explain: bool = False,
        trust: bool = False,
    ) -> Replay:
        """Run a recorded run again in a clean workspace and a new process, and compare, as ``recorder replay`` does.

        Args:
            run: The run.
            settings: Changes to the config by dotted keys. With any, there is no verdict.
            secrets: Values of arguments that were redacted, by dotted keys.
            inputs: New places of files that the run read, by their recorded paths.
            env: ``"same"`` for this interpreter, ``"rebuild"`` for the recorded environment installed again, or the
                path of an interpreter or a virtual environment.
            rtol: Largest relative difference at which numbers count as close.
            atol: Largest absolute difference at which numbers count as close.
            current_code: Run the project's code as it is now instead of the snapshot.
            current_inputs: Read inputs outside the project where they are now, changed or not.
            keep_workspace: Do not delete the workspace afterwards.
            repeat: Number of replays. They are compared with each other too: `Replay.is_deterministic`.
            explain: If the replay diverged, search for the cause by further replays: `Replay.explanation`.
            trust: Trust a run that somebody else recorded, see `trust`.

        What differs between then and now is logged to the logger ``recorder`` before anything runs.

        Raises:
            ReplayError: The replay cannot be done, for example because a package or an input is missing.
            ConfigError: A setting does not fit the experiment.
            TrustError: Somebody else recorded the run, and `trust` is false.
            ValueError: `explain` together with `repeat` or `settings`.
        """
        from ..environments.interpreter import choose_python
        from ..replay.many.repetition import repeat as replay_repeatedly
        from ..replay.request import Request

        if explain and (repeat > 1 or settings):
            raise ValueError(
                "explain is for one replay with a verdict: without repeat and settings"
            )
        if trust:
            self.trust(run)
        request = Request(
            settings={key: _to_argument(value) for key, value in (settings or {}).items()},
            secrets=secrets or {},
            inputs=inputs or {},
            rtol=rtol,
            atol=atol,
            keep_workspace=keep_workspace,
            current_code=current_code,
            current_inputs=current_inputs,
            **choose_python(os.fspath(env)),
        )
        record = find(self._store, run)
        done = replay_repeatedly(
            self._store, record, count=repeat, request=request, say=_logger.info
        )
        explanation = None
        if explain and done.replays[0].has_diverged:
            from ..replay.explain.explain import explain as find_cause

            explanation = find_cause(
                self._store, done.replays[0], request=request, say=_logger.info
            )
        return Replay(self._store, done, explanation)

    # Tags, notes, trash

    def tag(self, runs: Ref | Iterable[Ref], *tags: str) -> Runs:
        """Add tags to one run or several; return the runs as they are now.

        >>> store.tag(2, "paper")[0].tags
        ('paper',)

        Raises:
            RunNotFoundError: One of the runs does not exist.
            TagError: A tag is empty, a number, or another name that runs have.
        """
        return self._bind(self._store.retag(find_numbers(self._store, runs), add=tags))

    def untag(self, runs: Ref | Iterable[Ref], *tags: str) -> Runs:
        """Remove tags from one run or several; return the runs as they are now. Raises RunNotFoundError."""
        return self._bind(self._store.retag(find_numbers(self._store, runs), remove=tags))

    def note(self, runs: Ref | Iterable[Ref], text: str) -> Runs:
        """Set the note of one run or several; return the runs as they are now. Raises RunNotFoundError."""
        numbers = find_numbers(self._store, runs)
        return self._bind([self._store.annotate(number, note=text) for number in numbers])

    def remove(self, runs: Ref | Iterable[Ref]) -> Runs:
        """Move one run or several to the trash; return them. ``recorder remove --undo`` takes them back.

        Raises:
            RunNotFoundError: One of the runs does not exist.
            RunInUseError: One of the runs is in progress.
        """
        return self._bind(self._store.remove(find_numbers(self._store, runs)))

    def trust(self, run: Ref) -> Runs:
        """Sign a run that somebody else recorded, and all runs from the same store.

        From then on, as after ``recorder replay --trust``, their code can be run and their pickles loaded, which can
        do anything: do it only if you know where the runs come from. Returns the runs that were signed.
        """
        numbers = self._store.trust(find(self._store, run))
        return self._bind(self._store.get(number) for number in numbers)

    # Share and maintain

    def export(
        self, runs: Ref | Iterable[Ref], file: str | os.PathLike[str], *, overwrite: bool = False
    ) -> Exported:
        """Write runs with everything they refer to into a zip file, as ``recorder export`` does.

        Returns the runs' numbers, the count of objects and snapshots, and the file's size in bytes.

        Raises:
            FileExistsError: `file` exists and `overwrite` is false.
            RunInUseError: One of the runs is in progress.
            TransferError: An object that a run refers to is missing.
        """
        from ..store.archive.transfer import export_runs

        chosen = [self._store.get(number) for number in find_numbers(self._store, runs)]
        return export_runs(self._store, chosen, Path(file), overwrite=overwrite)

    def import_runs(
        self,
        source: str | os.PathLike[str],
        *,
        trust: bool = False,
        max_bytes: int | None = None,
    ) -> Runs:
        """Copy the runs of an export, or of another store's folder, that this store does not have yet.

        They keep their ids and get numbers of this store. Everything is verified before any run becomes visible, and
        none of their code runs.

        Args:
            source: The zip file of an export, or the folder of a store.
            trust: Sign the runs, see `trust`.
            max_bytes: Refuse an export that unpacks to more bytes; by default a multiple of the file's size.

        Returns:
            The new runs; none if all of them were here already.

        Raises:
            TransferError: Something is missing, damaged or invalid; nothing is imported then.
            StoreNotFoundError: `source` does not exist.
        """
        from ..store.archive.transfer import import_runs, open_source

        with open_source(Path(source), most_bytes=max_bytes) as opened:
            done = import_runs(self._store, opened)
        if trust:
            for record in done.records:
                self._store.trust(self._store.get(record.number))
        return self._bind(self._store.get(record.number) for record in done.records)

    def gc(self, *, dry_run: bool = False, confirmed: bool = False) -> list[Freed]:
        """Delete what no run refers to, and empty the trash, as ``recorder gc`` does.

        Args:
            dry_run: Delete nothing; return what would be deleted.
            confirmed: Delete even if most objects of the store are unreferenced, which happens if the journal lost
                lines.

        Returns:
            The count of items and the bytes freed for each kind of content that had any.

        Raises:
            UnexplainedError: Most objects would be deleted, and `confirmed` is false.
            DamageError: A line of the journal is damaged, so that its references are unknown.
        """
        from ..store.maintenance.gc import collect

        return collect(self._store, dry_run=dry_run, confirmed=confirmed)

    def check(self, *, repair: bool = False, discard: bool = False) -> list[RepairResult]:
        """Verify every byte of the store, as ``recorder check`` does, and optionally repair it.

        Args:
            repair: Repair what can be repaired. Nothing is deleted: data that cannot be placed goes to lost+found.
            discard: With `repair`, also move damaged records that cannot be repaired to lost+found.

        Returns:
            A result for each finding: the finding, the repair that was made (empty if none), and `is_repaired`. An
            empty list means that the store is intact.
        """
        from ..store.maintenance import check

        if repair:
            return list(check.repair_store(self._store, discard=discard))
        found = check.check(self._store)
        return [check.RepairResult(finding, "", is_repaired=False) for finding in found]

    def disk_usage(self) -> Sizes:
        """Return the bytes that each run and each experiment takes, and the store on disk, as ``recorder du`` does."""
        from ..store.maintenance.disk_usage import measure

        return measure(self._store)

    def _bind(self, found: Iterable[records.Record]) -> Runs:
        return Runs([Run(self._store, record) for record in found])

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

        found = self._store.runs(last=SHOWN)
        return f"<div><b>{escape(repr(self)[1:-1])}</b>{runs_html(found, count=len(self))}</div>"


def _to_argument(value: Any) -> str:
    """Write a value as on the command line."""
    if isinstance(value, str | os.PathLike):
        return os.fspath(value)
    return json.dumps(value, default=lambda one: one.item() if hasattr(one, "item") else str(one))
