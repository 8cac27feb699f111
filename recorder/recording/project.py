"""Where runs take place: the store that they are written to, the root of their code, and its state.

A process that records finds its setting from the experiment's file. A process that replays is given
one, `given`, which holds for every run in it: the original's code, in a workspace, into the original's store.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

from msgspec.structs import replace

from ..capture.code.code import describe_tree, find_root, known_snapshot, remember_snapshot
from ..capture.code.editable_projects import FoundProject, imported_projects
from ..capture.code.function import Place
from ..capture.code.working_tree import WorkingTree
from ..capture.environment.environment import describe_environment, redacted_variables
from ..capture.environment.packages import Packages
from ..capture.environment.runtime import DescribedRuntime, describe_runtime
from ..digest import canonical_json
from ..errors import RecorderError
from ..records import JSON, Code, Project, Redacted, Runtime
from ..store.format import FOLDER, NAMES, VARIABLE, store_folder
from ..store.store import RunStore

Report = Callable[[str], None]

# A replay's setting, for every run of this process.
given: Setting | None = None

_stores: dict[Path, RunStore] = {}
_kept: dict[tuple[Path, int, str], tuple[object, str]] = {}


class Setting:
    """The store, the root of the code, and, once captured, the code's and the environment's state.

    `redacted` are the credentials that were left out of the two. `moved` are the places from which a replay reads
    files, each with the path that the program knows it by; `files` what the code's snapshot holds, where it is known.
    """

    def __init__(
        self,
        store: RunStore,
        *,
        root: Path | None,
        code: Code | None = None,
        moved: Mapping[str, str] | None = None,
        files: frozenset[str] | None = None,
    ) -> None:
        self.store = store
        self.moved = dict(moved or {})
        self.root = root
        self.code = code
        self.environment: str | None = None
        self.redacted: tuple[Redacted, ...] = ()
        self._files: frozenset[str] = files or frozenset()
        self._packages = Packages()
        self._runtime: tuple[DescribedRuntime, Runtime] | None = None
        self._fixed = code is not None

    @property
    def private(self) -> tuple[str, ...]:
        """What in the store's folder no run reads as an input; a replay's workspace is not among it."""
        return _private(self.store.path)

    def capture(self, report: Report) -> Setting:
        """The same with the code and the environment as they are now; `report` is told what is missing."""
        captured = Setting(self.store, root=self.root, code=self.code, moved=self.moved)
        if not self._fixed and self.root is not None:
            captured.code, captured._files, captured.redacted = capture_code(
                self.store, self.root, report
            )
        elif self._files:
            captured._files = self._files
        elif self.code is not None and self.code.snapshot is not None:
            captured._files = frozenset(self.store.snapshots.files(self.code.snapshot))
        captured._capture_environment(report)
        captured.capture_projects(report)
        return captured

    def capture_projects(self, report: Report) -> Code | None:
        """The code, with the projects that have been imported by now: each as it is when it is first seen here."""
        if self.code is None or self.root is None or self._fixed:
            return self.code
        known = {project.root for project in self.code.projects}
        found = imported_projects(self._packages, root=self.root)
        new = [p for p in found if str(p.root) not in known]
        if new:
            projects = [_capture_project(self.store, project, report) for project in new]
            self.code = replace(self.code, projects=(*self.code.projects, *projects))
        return self.code

    def _capture_environment(self, report: Report) -> None:
        environment = describe_environment(cache=self.store.path / "envs")
        for problem in environment.problems:
            report(problem)
        self._packages = environment.packages
        self.redacted += redacted_variables(environment.described)
        runtime = describe_runtime(self._packages, report=report)
        self.environment, start = _keep_shared(
            self.store, environment=environment.described, runtime=runtime.described
        )
        self._runtime = runtime, Runtime(start=start, numerics=runtime.numerics)

    def capture_runtime(self, report: Report) -> Runtime:
        """What is loaded now, and how it is set, as a run's beginning; `report` is told what is missing.

        The same one again where nothing has changed since the last, or since this was captured.
        """
        found = describe_runtime(self._packages, report=report)
        if self._runtime is None or self._runtime[0] is not found:
            (start,) = _keep_shared(self.store, runtime=found.described)
            self._runtime = found, Runtime(start=start, numerics=found.numerics)
        return self._runtime[1]

    def snapshot_of(self, root: Path, report: Report) -> str | None:
        """The snapshot of a project elsewhere as it is now."""
        return _take_snapshot(self.store, root, report, outputs=frozenset())[1]

    @property
    def runtime(self) -> Runtime | None:
        """The runtime as it was captured last."""
        return None if self._runtime is None else self._runtime[1]

    @property
    def loaded(self) -> Mapping[str, JSON]:
        """The runtime object as it was captured last; {} before that."""
        return {} if self._runtime is None else self._runtime[0].described

    def known_as(self, path: str) -> str:
        """The path by which the program knows the file that was read at `path`, which is absolute."""
        for place, known in self.moved.items():
            if path == place or path.startswith(place + os.sep):
                return known + path[len(place) :]
        return path

    @property
    def files(self) -> frozenset[str]:
        """The files that the snapshot holds, relative to the root."""
        return self._files

    def holds(self, path: str | None) -> bool:
        """Whether the snapshot holds the file at `path`, relative to the root."""
        return path is not None and path in self._files


@lru_cache(maxsize=8)
def _private(store: Path) -> tuple[str, ...]:
    return tuple(str(store / name) for name in NAMES if name != "workspaces")


def give(setting: Setting | None) -> None:
    """Let every run of this process take place in `setting`; None ends that."""
    global given
    given = setting


def find_setting(place: Place, *, store: str | os.PathLike[str] | None) -> Setting:
    """The setting of an experiment that stands at `place`; its store is made where there is none.

    `store` wins over RECORDER_STORE, which wins over `.recorder` at the root of the git repository that
    holds the file, else beside the file; for a notebook or REPL in the working directory.
    Raises StoreFormatError, or OSError where the store cannot be made.
    """
    if given is not None:
        return given
    # (Asking for the working directory takes as long as looking for the root.)
    cwd = _working_directory() if place.file is None else place.file.parent
    root = find_root(place.file, module=place.module, cwd=cwd)
    if store is not None:
        folder = store_folder(Path(store))
    elif os.environ.get(VARIABLE):
        folder = store_folder(Path(os.environ[VARIABLE]))
    else:
        folder = (cwd if place.file is None and not place.installed else root) / FOLDER
    return Setting(_open(folder), root=root)


def _working_directory() -> Path:
    """The working directory, or, where that has been deleted, the user's own folder."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return Path.home()


def _open(folder: Path) -> RunStore:
    """The store in the folder, opened once a process."""
    store = _stores.get(folder)
    if store is None or not os.path.exists(f"{folder}{os.sep}FORMAT"):  # noqa: PTH110
        store = _stores[folder] = RunStore(folder, create=True)
    return store


def capture_code(
    store: RunStore, root: Path, report: Report
) -> tuple[Code, frozenset[str], tuple[Redacted, ...]]:
    """The code at `root` as it is now, the files of its snapshot, and what was redacted."""
    tree, snapshot = _take_snapshot(store, root, report, outputs=store.known_outputs.read())
    code = Code(
        root=str(tree.root),
        snapshot=snapshot,
        commit=tree.commit,
        branch=tree.branch,
        remote=tree.remote,
        dirty=tree.dirty,
        changed=tree.changed,
        skipped=tree.skipped,
        submodules=tree.submodules,
    )
    return code, frozenset(tree.files), tree.redacted


def _capture_project(store: RunStore, project: FoundProject, report: Report) -> Project:
    def say(what: str) -> None:
        report(f"project {project.name}: {what}")

    try:
        tree, snapshot = _take_snapshot(store, project.root, say, outputs=frozenset())
    except OSError as error:
        say(f"its code was not captured, so the run will not be replayable: {error}")
        return Project(name=project.name, root=str(project.root))
    return Project(
        name=project.name,
        root=str(tree.root),
        snapshot=snapshot,
        commit=tree.commit,
        dirty=tree.dirty,
        skipped=tree.skipped,
    )


def _take_snapshot(
    store: RunStore, root: Path, report: Report, *, outputs: frozenset[str]
) -> tuple[WorkingTree, str | None]:
    """The working tree at `root`, and the snapshot of it: the one that there is already where nothing has changed."""
    cache = store.path / "envs"
    tree = describe_tree(root, exclude=[store.path], outputs=outputs, cache=cache)
    for warning in tree.warnings:
        report(warning)
    try:
        known = known_snapshot(tree)
        if known is not None and store.snapshots.keep(known):
            return tree, known
        snapshot = store.snapshots.take(tree.root, tree.files)
    except RecorderError as error:
        report(f"the code was not captured, so the run will not be replayable: {error}")
        return tree, None
    remember_snapshot(tree, snapshot, cache=cache)
    return tree, snapshot


def _keep_shared(store: RunStore, **objects: dict[str, JSON]) -> list[str]:
    """The digests of objects that many runs share, each written once a process while it stays the same one."""
    pid = os.getpid()
    known = [_kept.get((store.path, pid, kind)) for kind in objects]
    digests = [one[1] for one in known if one is not None]
    same = all(one and one[0] is value for one, value in zip(known, objects.values(), strict=True))
    if same and store.objects.keep(*digests):
        return digests
    digests = [store.objects.put_bytes(canonical_json(value)) for value in objects.values()]
    for (kind, value), digest in zip(objects.items(), digests, strict=True):
        _kept[store.path, pid, kind] = (value, digest)
    return digests
