"""Record a command line as an experiment: its arguments are the config, its exit status is the result.

The run lives in this process, the command in a child process; the output of both is recorded. The files that the
command writes below the working directory are its outputs. Runs that the command records with `@record` are its
children.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from ..capture.code.code import find_root
from ..capture.code.function import Place
from ..capture.files.exclusion import CODE_SUFFIXES
from ..capture.files.stamps import Stamp, look_at, scan, written
from ..capture.seeding.seed import draw_seed
from ..errors import CommandError, TargetError
from ..records import Function, Seed
from ..secrets.register import Secrets
from ..store.format import FOLDER, VARIABLE
from .current import PARENT_VARIABLE, current_parent
from .invocation import Call
from .project import Project, find_project
from .run import ActiveRun

SEED_VARIABLE = "RECORDER_SEED"
_INTERPRETERS = ("python", "pypy", "bash", "sh", "zsh", "Rscript", "julia", "node", "ruby", "perl")
# A terminal sends these to the command as well; `kill`, a scheduler and a closing terminal signal this process only.
_FROM_TERMINAL = (signal.SIGINT, getattr(signal, "SIGQUIT", None))
_PASSED_ON = ("SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGQUIT", "SIGINT")


class Executed(NamedTuple):
    """The ended run of a command, and its exit status as in a shell: 128 plus the signal number if it was killed."""

    run: ActiveRun
    status: int


def prepare_command(
    argv: Sequence[str],
    *,
    name: str | None = None,
    tags: Sequence[str] = (),
    seed: int | None = None,
    store: str | os.PathLike[str] | None = None,
) -> Call:
    """Return the call to record for the command, run in the working directory.

    Args:
        argv: The command and its arguments.
        name: The experiment's name; by default see `name_of`.
        tags: Tags of the run.
        seed: The seed, which the command finds in RECORDER_SEED; by default drawn.
        store: The store's folder, by default RECORDER_STORE or that of the project around the working directory.

    Raises:
        TargetError: if the command does not exist.
        StoreFormatError: if the store was written by a newer recorder.
        OSError: if the store cannot be created.
    """
    if not argv or shutil.which(argv[0]) is None:
        raise TargetError(f"no command {argv[0] if argv else ''!r}", target=" ".join(argv[:1]))
    described = Seed(value=draw_seed(), origin="drawn")
    if seed is not None:
        described = Seed(value=seed, origin="argument")
    name = name or name_of(argv)
    return Call(
        experiment=name,
        function=Function(module="", qualname=name, kind="command"),
        arguments=describe_argv(argv),
        seed=described,
        project=_find_project(store),
        tags=tuple(tags),
        parent=current_parent(),
    )


def describe_argv(argv: Sequence[str]) -> dict[str, Any]:
    """Return the config of a command: its arguments, with credentials redacted."""
    return {"argv": list(Secrets().scrub_arguments(argv))}


def name_of(argv: Sequence[str]) -> str:
    """Return the program's name, or for an interpreter the name of the script or module that it runs."""
    program = Path(argv[0]).name
    if program.rstrip("0123456789.").removesuffix(".exe") not in _INTERPRETERS:
        return program
    rest = list(argv[1:])
    while rest and rest[0].startswith("-"):
        if rest[0] == "-m" and len(rest) > 1:
            return rest[1]
        if rest[0] in ("-c", "-e", "--eval"):
            return program
        rest.pop(0)
    return Path(rest[0]).name if rest else program


def _find_project(store: str | os.PathLike[str] | None) -> Project:
    cwd = Path.cwd()
    root = find_root(None, cwd=cwd)
    folder = store or os.environ.get(VARIABLE) or root / FOLDER
    return find_project(Place("", None, False, False, False), store=folder)


def execute(
    call: Call,
    argv: Sequence[str],
    *,
    inputs: Sequence[str] = (),
    outputs: Sequence[str] = (),
    variables: Mapping[str, str] | None = None,
) -> Executed:
    """Run the command in the working directory, as the run of `call`.

    Args:
        call: The return value of `prepare_command`.
        argv: The command and its arguments.
        inputs: Files and folders that it reads, in addition to the files named in `argv`.
        outputs: Files and folders that it writes, in addition to those below the working directory.
        variables: Environment variables, in addition to those of this process.

    Raises:
        OSError: if an input cannot be read; the run is recorded as failed.
    """
    run = ActiveRun(call)
    try:
        status = _execute(run, call, argv, inputs, outputs, variables or {})
    except BaseException as error:
        run.fail(error)
        raise
    return Executed(run, status)


def _execute(
    run: ActiveRun,
    call: Call,
    argv: Sequence[str],
    inputs: Sequence[str],
    outputs: Sequence[str],
    variables: Mapping[str, str],
) -> int:
    _add_inputs(run, argv, inputs)
    cwd = Path.cwd()
    before = scan(cwd, exclude=[run.store.path])
    named = {path: look_at(Path(path)) for path in outputs}
    with _PassingOn() as passing:
        passing.to = subprocess.Popen(list(argv), env={**_environment(run, call), **variables})
        code = passing.to.wait()
    _save_outputs(run, written(before, scan(cwd, exclude=[run.store.path])), named)
    status = code if code >= 0 else 128 - code
    if signal.SIGINT in passing.received and code != 0:
        run.fail(KeyboardInterrupt(), result=status)
    elif code == 0:
        run.finish(0)
    else:
        run.fail(CommandError(_describe_status(code), status=status), result=status)
    return status


def _add_inputs(run: ActiveRun, argv: Sequence[str], inputs: Sequence[str]) -> None:
    """Record the named inputs, the program if git does not have it, and the files among the arguments.

    An argument inside the project that an earlier run wrote is taken for an output.
    """
    for path in inputs:
        run.add_input(path)
    if _is_own_program(run, argv[0]):
        run.add_input(argv[0])
    known = run.store.known_outputs.read()
    for arg in argv[1:]:
        path = arg.partition("=")[2] if arg.startswith("-") else arg
        if not os.path.isfile(path):  # noqa: PTH113 - Path raises an error for a long argument
            continue
        place = run.place_of(path)
        if place is None:
            is_input = not _is_installed(path)
        elif Path(path).suffix in CODE_SUFFIXES:
            is_input = not run.is_code(path)
        else:
            is_input = place not in known
        if is_input:
            run.add_input(path)


def _is_own_program(run: ActiveRun, program: str) -> bool:
    """Return whether a program lies in the project and not in its snapshot, such as a compiled one.

    The Python of a virtual environment does not count, because it works only in its place.
    """
    if os.sep not in program or run.place_of(program) is None or run.is_code(program):
        return False
    path = Path(program)
    return not path.is_symlink() and not (path.absolute().parent.parent / "pyvenv.cfg").exists()


def _is_installed(path: str) -> bool:
    """Return whether a file outside the project is a program in a folder of PATH, and no data."""
    folder = os.path.dirname(os.path.realpath(path))  # noqa: PTH120
    return folder in {os.path.realpath(entry) for entry in os.get_exec_path()}


def _environment(run: ActiveRun, call: Call) -> dict[str, str]:
    """Return the command's environment, which tells its recorded runs their parent, store and seed."""
    seed = call.seed
    environment = {
        **os.environ,
        PARENT_VARIABLE: run.id,
        VARIABLE: str(run.store.path),
        SEED_VARIABLE: str(seed.value),
    }
    if seed.origin == "argument":
        environment["PYTHONHASHSEED"] = str(seed.value % 2**32)
    return environment


class _PassingOn:
    """Forwards the signals that reach this process to the child in `to`; `received` lists them.

    Ctrl-C in a terminal reaches the child directly, so it is not forwarded.
    """

    to: subprocess.Popen[bytes] | None = None

    def __init__(self) -> None:
        self.received: list[int] = []

    def __enter__(self) -> _PassingOn:
        numbers = [getattr(signal, name) for name in _PASSED_ON if hasattr(signal, name)]
        self._former = {number: signal.signal(number, self._handle) for number in numbers}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.received.append(number)
        if self.to is None:
            raise KeyboardInterrupt  # the command has not started
        if number not in _FROM_TERMINAL or not _has_terminal():
            self.to.send_signal(number)


def _has_terminal() -> bool:
    """Return whether this process, and so the command, is in the terminal's foreground process group."""
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except (OSError, AttributeError):
        return False


def _save_outputs(
    run: ActiveRun, found: Sequence[str], named: Mapping[str, Mapping[str, Stamp]]
) -> None:
    """Save the files that were found, and the named outputs; `named` has their stamps from before the command."""
    for path, before in named.items():
        if written(before, after := look_at(Path(path))):
            run.save(path)
        else:
            problem = "was not written by the command" if after else "does not exist"
            run.warn(f"output {path} {problem}: it is not kept")
    folders = [os.path.realpath(path) + os.sep for path in named]
    files = {os.path.realpath(path) for path in named}
    for path in found:
        real = os.path.realpath(path)
        if real not in files and not real.startswith(tuple(folders)):
            run.save(path)


def _describe_status(code: int) -> str:
    if code >= 0:
        return f"the command exited with status {code}"
    try:
        return f"the command was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"the command was killed by signal {-code}"
