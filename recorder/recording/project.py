"""The project that a run belongs to, and the state of its code and environment.

A process that records finds its project from the experiment's file. A process that replays gets one from `give`,
which applies to every run in it: the recorded code, in a workspace, with the original run's store.
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
from ..capture.environment.runtime import describe_runtime
from ..digest import canonical_json
from ..errors import RecorderError
from ..records import JSON, Code, EditableProject, Part, Redacted, Runtime
from ..store.format import FOLDER, NAMES, VARIABLE, store_folder
from ..store.store import RunStore

Report = Callable[[str], None]

# The project of a replay, for every run of this process.
given: Project | None = None

_stores: dict[Path, RunStore] = {}
_kept: dict[tuple[Path, int, str], tuple[object, str]] = {}


class Project(Part, frozen=True):
    """The store that runs are written to, and the root of their code.

    In a replay, `code` is the recorded code and `files` the paths in its snapshot (None: read them from the store);
    `moved` maps each place that the replay reads files from to the path that the program uses.
    """

    store: RunStore
    root: Path | None
    moved: Mapping[str, str] = {}
    code: Code | None = None
    files: frozenset[str] | None = None

    @property
    def private(self) -> tuple[str, ...]:
        """The folders of the store whose files are never inputs; the workspaces of replays are not among them."""
        return _private(self.store.path)

    def known_as(self, path: str) -> str:
        """Return the path that the program uses for the file read at `path`, which is absolute."""
        for place, known in self.moved.items():
            if path == place or path.startswith(place + os.sep):
                return known + path[len(place) :]
        return path

    def capture(self) -> Captured:
        """Capture the code and the environment in their present state."""
        problems: list[str] = []
        code, files, redacted = self._capture_code(problems.append)
        environment = describe_environment(cache=self.store.path / "envs")
        problems += environment.problems
        runtime = describe_runtime(environment.packages, report=problems.append)
        digest, start = _keep_shared(
            self.store, environment=environment.described, runtime=runtime.described
        )
        captured = Captured(
            project=self,
            code=code,
            files=files,
            environment=digest,
            loaded=Loaded(
                runtime=Runtime(start=start, numerics=runtime.numerics), objects=runtime.described
            ),
            packages=environment.packages,
            redacted=(*redacted, *redacted_variables(environment.described)),
        )
        code = captured.describe_code(problems.append)
        return replace(captured, code=code, problems=tuple(problems))

    def _capture_code(
        self, report: Report
    ) -> tuple[Code | None, frozenset[str], tuple[Redacted, ...]]:
        if self.code is None:
            none: frozenset[str] = frozenset()
            return (
                (None, none, ())
                if self.root is None
                else capture_code(self.store, self.root, report)
            )
        files, snapshot = self.files, self.code.snapshot
        if not files and snapshot is not None:
            files = frozenset(self.store.snapshots.files(snapshot))
        return self.code, files or frozenset(), ()


class Loaded(Part, frozen=True):
    """The libraries loaded in the process and their settings; `objects` is the content of the runtime object."""

    runtime: Runtime
    objects: Mapping[str, JSON]


class Captured(Part, frozen=True):
    """The state of a project's code and environment at one moment.

    `environment` is the digest of the environment object, `files` the paths in the snapshot relative to the root,
    `redacted` the credentials left out of code and environment, `problems` the warnings about what is missing.
    """

    project: Project
    code: Code | None
    files: frozenset[str]
    environment: str
    loaded: Loaded
    packages: Packages
    redacted: tuple[Redacted, ...] = ()
    problems: tuple[str, ...] = ()

    def holds(self, path: str | None) -> bool:
        """Return whether the snapshot contains the file at `path`, relative to the root."""
        return path is not None and path in self.files

    def describe_code(self, report: Report) -> Code | None:
        """Return the code, with the editable projects imported by now; each is captured when it is first seen."""
        root = self.project.root
        if self.code is None or root is None or self.project.code is not None:
            return self.code
        known = {project.root for project in self.code.projects}
        found = imported_projects(self.packages, root=root)
        new = [project for project in found if str(project.root) not in known]
        if not new:
            return self.code
        projects = [_capture_project(self.project.store, project, report) for project in new]
        return replace(self.code, projects=(*self.code.projects, *projects))

    def describe_loaded(self, report: Report) -> Loaded:
        """Return the libraries loaded now; the captured value itself if nothing has changed since."""
        found = describe_runtime(self.packages, report=report)
        if self.loaded.objects is found.described:
            return self.loaded
        (start,) = _keep_shared(self.project.store, runtime=found.described)
        return Loaded(
            runtime=Runtime(start=start, numerics=found.numerics), objects=found.described
        )


@lru_cache(maxsize=8)
def _private(store: Path) -> tuple[str, ...]:
    return tuple(str(store / name) for name in NAMES if name != "workspaces")


def give(project: Project | None) -> None:
    """Make every run of this process take place in `project`; None ends that."""
    global given
    given = project


def find_project(place: Place, *, store: str | os.PathLike[str] | None) -> Project:
    """Return the project of an experiment defined at `place`; its store is created if there is none.

    The store is `store`, else RECORDER_STORE, else `.recorder` at the root of the git repository that contains the
    file, else next to the file; for a notebook or a REPL it is in the working directory.

    Raises:
        StoreFormatError: if the store was written by a newer recorder.
        OSError: if the store cannot be created.
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
    return Project(store=_open(folder), root=root)


def _working_directory() -> Path:
    """Return the working directory, or the home directory if that has been deleted."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return Path.home()


def _open(folder: Path) -> RunStore:
    """Return the store in the folder, opened once per process."""
    store = _stores.get(folder)
    if store is None or not os.path.exists(f"{folder}{os.sep}FORMAT"):  # noqa: PTH110
        store = _stores[folder] = RunStore(folder, create=True)
    return store


def capture_code(
    store: RunStore, root: Path, report: Report
) -> tuple[Code, frozenset[str], tuple[Redacted, ...]]:
    """Capture the code at `root`; return it, the files of its snapshot, and the credentials left out."""
    tree, snapshot = take_snapshot(store, root, report, outputs=store.known_outputs.read())
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


def _capture_project(store: RunStore, project: FoundProject, report: Report) -> EditableProject:
    def report_project(problem: str) -> None:
        report(f"project {project.name}: {problem}")

    try:
        tree, snapshot = take_snapshot(store, project.root, report_project)
    except OSError as error:
        report_project(f"its code was not captured, so the run will not be replayable: {error}")
        return EditableProject(name=project.name, root=str(project.root))
    return EditableProject(
        name=project.name,
        root=str(tree.root),
        snapshot=snapshot,
        commit=tree.commit,
        dirty=tree.dirty,
        skipped=tree.skipped,
    )


def take_snapshot(
    store: RunStore, root: Path, report: Report, *, outputs: frozenset[str] = frozenset()
) -> tuple[WorkingTree, str | None]:
    """Return the working tree at `root` and its snapshot: the existing one if nothing has changed.

    `outputs` are files that runs wrote, which are not code. The snapshot is None, with a report, if it cannot be taken.
    """
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
    """Store objects that many runs share, and return their digests; each is written once per process and state."""
    pid = os.getpid()
    known = [_kept.get((store.path, pid, kind)) for kind in objects]
    digests = [entry[1] for entry in known if entry is not None]
    same = all(
        entry and entry[0] is value for entry, value in zip(known, objects.values(), strict=True)
    )
    if same and store.objects.keep(*digests):
        return digests
    digests = [store.objects.put_bytes(canonical_json(value)) for value in objects.values()]
    for (kind, value), digest in zip(objects.items(), digests, strict=True):
        _kept[store.path, pid, kind] = (value, digest)
    return digests
