"""The process that replays one run.

`recorder.replay.replay` starts it with a job. It removes the live tree from its import path, loads the experiment from
the workspace, calls it with the recorded config and seed as a new run of the same store, and writes a report.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ... import codec
from ...batch.report import INTERRUPTED
from ...capture.code.function import find_receiver
from ...capture.code.source import describe_source
from ...capture.config import call_with, encode_config
from ...capture.failure import own_traceback
from ...config.settings import apply_settings
from ...errors import ConfigError, RecorderError, ReplayError
from ...recording import project
from ...recording.entrypoint import as_experiment, load_module, load_script
from ...recording.execution import Execution
from ...recording.experiment import Experiment
from ...recording.invocation import Call
from ...records import JSON, Change, Function, Record
from ...secrets.names import kind_of, promises_secret
from ...secrets.register import Secrets
from ...store.store import RunStore
from ..secrets import fill
from ..workspace.workspace import LiveTree
from .command import replay_command
from .job import ReplayJob, ReplayReport


def main(descriptor: str) -> int:
    """Read a job from a pipe, carry it out, and write its report; return the exit status.

    The job comes through a pipe because settings may be credentials, which a file in the store's folder must not hold.

    Args:
        descriptor: The number of the pipe's file descriptor.
    """
    with open(int(descriptor), "rb") as pipe:  # noqa: PTH123 - a descriptor has no path
        job = msgspec.json.decode(pipe.read(), type=ReplayJob)
    for fd in job.held:
        os.set_inheritable(fd, False)
    try:
        report = _replay(job)
    except ConfigError as error:
        report = ReplayReport(error=str(error), exit_status=error.exit_status)
    except RecorderError as error:
        report = ReplayReport(error=str(error), exit_status=ReplayError.exit_status)
    except KeyboardInterrupt:
        report = ReplayReport(error="interrupted", exit_status=INTERRUPTED)
    except ModuleNotFoundError as error:
        message = f"its code could not be loaded: {error}; try: --env rebuild, or --env PATH"
        report = ReplayReport(error=message, exit_status=3)
    except BaseException as error:  # noqa: BLE001 - the user's module may raise anything while it is imported
        sys.stderr.write(own_traceback(error))
        message = f"its code could not be loaded: {type(error).__name__}: {error}"
        report = ReplayReport(error=message, exit_status=3)
    report = msgspec.structs.replace(report, error=_secrets(job).scrub(report.error, "report"))
    Path(job.report).write_bytes(msgspec.json.encode(report))
    return report.exit_status


def _secrets(job: ReplayJob) -> Secrets:
    """Return the job's secrets, which no file of the workspace may contain."""
    secrets = Secrets()
    for key, text in job.settings.items():
        if promises_secret(kind_of(key.rpartition(".")[2]), text):
            secrets.know(text, f"the value of {key}")
    for key, form in job.secrets.items():
        if isinstance(form, str):
            secrets.know(form, f"the value of {key}")
    return secrets


def _replay(job: ReplayJob) -> ReplayReport:
    store = RunStore(job.store)
    record = store.get(job.number)
    if job.live_code is not None:
        record = msgspec.structs.replace(record, code=job.live_code)
    tree = Path(job.tree)
    live = None if record.code is None else LiveTree(Path(record.code.root), store=store.path)
    others = {LiveTree(Path(r), store=store.path): Path(to) for r, to in job.projects.items()}
    _enter(record, job, live)
    for other, place in others.items():
        other.shut_out(place, first=[])
        if job.rebuilt:  # only the recorded environment had an entry that points to the project
            sys.path += [str(folder) for folder in (place / "src", place) if folder.is_dir()]
    moved = {os.path.realpath(place): known for known, place in job.moves.items()}
    files = _held_files(job)
    project.give(
        project.Project(store=store, root=tree, code=record.code, moved=moved, files=files)
    )
    if record.function.kind == "command":
        run = replay_command(record, tree=tree, live=live, settings=job.settings, moves=job.moves)
        return ReplayReport(run=run)
    if job.moves:
        from ..workspace.redirection import Redirection  # imports sqlite3

        Redirection(job.moves).install()
    experiment = _load(record, tree, store)
    lives = [*([live] if live else []), *others]
    leaks = [leak for tree in lives for leak in tree.imported()]
    if leaks:
        raise ReplayError(
            f"{leaks[0]} was imported from the live tree, not from the snapshot, so nothing was run; remove the entry"
            " of sys.path that points there (an editable install, PYTHONPATH, a .pth file)"
        )
    run = _run(record, experiment, job, store, live)
    return ReplayReport(run=run, leaks=tuple(leak for tree in lives for leak in tree.imported()))


def _held_files(job: ReplayJob) -> frozenset[str] | None:
    if job.held_files is None:
        return None
    return frozenset(map(os.fsdecode, Path(job.held_files).read_bytes().split(b"\0")))


def _enter(record: Record, job: ReplayJob, live: LiveTree | None) -> None:
    """Restore the recorded working directory, umask, arguments, and import path."""
    tree = Path(job.tree)
    os.chdir(job.cwd)
    process = record.process
    if process is not None and process.umask is not None:
        os.umask(int(process.umask, 8))
    if process is not None and live is not None:
        argv = [
            (arg, live.inside(arg) if Path(arg).is_absolute() else None) for arg in process.argv
        ]
        sys.argv[:] = [arg if inside is None else str(tree / inside) for arg, inside in argv]
    if live is not None:
        live.shut_out(tree, first=_first_folders(record))


def _first_folders(record: Record) -> list[str]:
    """Return the folders, relative to the root, from which the experiment was imported."""
    recorded = list(record.process.path_in_root) if record.process is not None else []
    folder = import_folder(record.function)
    return recorded if folder is None or folder in recorded else [folder, *recorded]


def import_folder(function: Function) -> str | None:
    """Return the folder, relative to the root, from which the function's module is imported; None without a file."""
    if function.file is None:
        return None
    parts = Path(function.file).with_suffix("").parts
    if parts[-1] == "__init__":
        parts = parts[:-1]
    module = tuple(function.module.split("."))
    if parts[-len(module) :] != module:
        return Path(function.file).parent.as_posix()
    return Path(*parts[: -len(module)]).as_posix() if parts[: -len(module)] else "."


def _load(record: Record, tree: Path, store: RunStore) -> Experiment:
    """Load the experiment: from its pickle, or from the workspace as a script or a module."""
    function = record.function
    if function.pickled is not None:
        found, classes = codec.decode_function(function.pickled, store.read)
        experiment = as_experiment(found, target=record.experiment)
        _adopt(experiment, classes)
        return experiment
    if function.file is None:
        return load_module(function.module, function.qualname)
    file = tree / function.file
    if not file.is_file():
        raise ReplayError(
            f"{function.file}, the experiment's file, does not exist", run=record.number
        )
    if function.script and "." not in function.module:
        return load_script(file, function.qualname)
    return load_module(function.module, function.qualname)


def _adopt(experiment: Experiment, classes: Sequence[type]) -> None:
    """Define the classes of the recorded ``__main__`` here, so that arguments and results can be pickled."""
    main = sys.modules["__main__"]
    taken = getattr(inspect.unwrap(experiment.function), "__globals__", {}).values()
    for kind in (*taken, *classes):
        if (
            isinstance(kind, type)
            and kind.__module__ == "__main__"
            and "." not in kind.__qualname__
        ):
            setattr(main, kind.__name__, kind)


def _run(
    record: Record, experiment: Experiment, job: ReplayJob, store: RunStore, live: LiveTree | None
) -> str:
    """Run the experiment and return the id of the new run, whose record keeps an exception.

    The record has the recorded arguments; the function receives them with project paths pointing into the workspace.
    """
    forms = {
        name: fill(store, form, name=name, given=job.secrets)
        for name, form in record.config.items()
    }
    changed = _arguments(forms, experiment, job, store)
    moved = {name: _move(form, name, Path(job.tree), live) for name, form in forms.items()}
    given = changed if moved == forms else _arguments(moved, experiment, job, store)
    try:
        bound, executed = (call_with(experiment.function, values) for values in (changed, given))
    except TypeError as error:
        raise ReplayError(
            f"run {record.number} cannot be called again: {error}", run=record.number
        ) from error
    assert project.given is not None
    assert record.seed_info is not None
    seed = msgspec.structs.replace(record.seed_info, **_seed_changes(record, changed))
    call = Call(
        experiment=record.experiment,
        function=_function(record, experiment, job),
        arguments=bound.arguments,
        seed=seed,
        project=project.given,
        tags=(),
        replay_of=record.id,
        changes=_changes(record, changed, job, experiment),
        tolerance=record.tolerance,
        secrets=experiment.options.secrets,
        public=experiment.options.public,
        keep_bytes=experiment.options.keep_bytes,
        receiver=find_receiver(experiment.function, bound.arguments),
    )
    execution = Execution(experiment, call, executed)
    try:
        execution.complete(most=_most(record, experiment, store))
    except BaseException as error:  # noqa: BLE001 - the record keeps it, and the verdict compares it
        sys.stderr.write(own_traceback(error))
    return execution.run.id


def _function(record: Record, experiment: Experiment, job: ReplayJob) -> Function:
    """Return the recorded description, with the current source where the current code runs."""
    if job.live_code is None:
        return record.function
    source, _ = describe_source(experiment.function)
    return msgspec.structs.replace(record.function, source=source)


def _arguments(
    forms: Mapping[str, JSON], experiment: Experiment, job: ReplayJob, store: RunStore
) -> dict[str, Any]:
    values = {name: codec.decode(form, store.read) for name, form in forms.items()}
    return apply_settings(experiment.function, job.settings, values=values)


def _move(form: JSON, name: str, tree: Path, live: LiveTree | None) -> JSON:
    """Redirect the paths in an argument's form, strings or Path objects, from the live tree to the workspace."""
    if live is None:
        return form

    def move(part: JSON, path: str, names: tuple[str, ...]) -> JSON:
        text = part["$path"]["text"] if codec.tag_of(part) == "$path" else part
        if not isinstance(text, str) or not text.startswith(os.sep) or "\0" in text:
            return part
        inside = live.inside(text)
        if inside is None:
            return part
        moved = str(tree / inside)
        return moved if text is part else {"$path": {**part["$path"], "text": moved}}

    return codec.replace_parts(form, name, (name,), move)


def _most(record: Record, experiment: Experiment, store: RunStore) -> int | None:
    """Return how many values were taken from a generator that was closed before it was exhausted, else None."""
    if not (experiment.is_generator or experiment.is_async_generator):
        return None
    result = codec.inline(record.result, store.read)
    if isinstance(result, dict) and result.get("closed") is True:
        return int(result["yielded"])
    return None


def _seed_changes(record: Record, changed: dict[str, Any]) -> dict[str, Any]:
    """Return the changed fields of the seed: a seed that is set in the config seeds the generators too."""
    from ...capture.config import as_integer

    assert record.seed_info is not None
    parameter = record.function.seed_parameter
    value = as_integer(changed.get(parameter)) if parameter is not None else None
    return {"value": record.seed_info.value if value is None else value, "generators": ()}


def _changes(
    record: Record, changed: dict[str, Any], job: ReplayJob, experiment: Experiment
) -> tuple[Change, ...]:
    names = {key.partition(".")[0] for key in job.settings}
    secrets = Secrets(named=experiment.options.secrets, public=experiment.options.public)
    forms = encode_config(changed, secrets=secrets).forms
    return tuple(
        Change(key=name, old=record.config.get(name), new=form)
        for name, form in sorted(forms.items())
        if (name in names or name not in record.config) and form != record.config.get(name)
    )
