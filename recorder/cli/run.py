"""``recorder run``: an experiment with a config from the command line."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click

from ..attendance import Attendance
from ..capture.determinism import fixed_variables
from ..capture.failure import own_traceback
from ..errors import ConfigError, RecorderError
from ..experiment import Experiment, Recording
from ..replay.settings import apply_settings, split_settings
from ..replay.target import load_target


@click.command()
@click.argument("target", metavar="TARGET")
@click.argument("settings", nargs=-1, metavar="[KEY=VALUE]...")
@click.option(
    "--deterministic",
    is_flag=True,
    help="Deterministic algorithms of PyTorch, TensorFlow, cuBLAS, MKL and XLA; one thread (see --threads). An"
    " operation that has no such algorithm fails.",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    metavar="N",
    help="Threads of OpenMP, MKL, OpenBLAS and their like. Sums are rounded otherwise with another number; 1 with"
    " --deterministic, as every machine has it, where a variable does not say otherwise.",
)
@click.pass_obj
def command(
    path: str | None,
    target: str,
    settings: tuple[str, ...],
    deterministic: bool,
    threads: int | None,
) -> None:
    """Run the experiment TARGET, FILE.py:NAME or MODULE:NAME, and record it.

    Values are typed by the function's annotations and defaults; lists and dicts are JSON; a dotted key sets one
    entry of a dict. A function without @record is recorded all the same. In a job of several ranks the first one
    records, the others run it without.

    PYTHONHASHSEED is 0 where it is not set, so that the order of sets is the same in each run.

    Example: recorder run train.py:train lr=0.2 epochs=10
    """
    variables = fixed_variables(os.environ, deterministic=deterministic, threads=threads)
    if variables and target in sys.argv:  # a caller from Python has an interpreter of its own
        _start_again(variables)
    if path is not None:
        os.environ["RECORDER_STORE"] = str(Path(path).absolute())
    sys.argv = [target.rpartition(":")[0]]
    _run(_load(target), split_settings(settings))


def _start_again(variables: dict[str, str]) -> None:
    """The same command in a fresh interpreter that has the variables: Python and the libraries read them once."""
    command = [sys.executable, *sys.orig_argv[1:]]
    environ = {**os.environ, **variables}
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name == "nt":  # there, exec leaves the shell without its child
        sys.exit(subprocess.run(command, env=environ).returncode)
    os.execve(sys.executable, command, environ)


def _load(target: str) -> Experiment:
    """The experiment; an exception of its module's own is shown as Python would, without our frames."""
    try:
        return load_target(target, cwd=Path.cwd())
    except RecorderError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever the user's module raises while it is loaded
        click.echo(own_traceback(error), nl=False, err=True)
        raise SystemExit(RecorderError.exit_status) from None


def _run(experiment: Experiment, settings: dict[str, str]) -> None:
    values = apply_settings(experiment.function, settings, values={})
    signature = inspect.signature(experiment.function)
    ordered = {name: values[name] for name in signature.parameters if name in values}
    bound = inspect.BoundArguments(signature, ordered)
    try:
        attendance = experiment.attend(*_arguments(bound))
        if attendance is None:
            call, bound = experiment.prepare(*_arguments(bound))
    except TypeError as error:
        text = f"{experiment.function.__name__}{signature}"
        raise ConfigError(f"{error}: {text}", signature=text) from error
    if attendance is not None:
        _attend(experiment, attendance)
        return
    recording = Recording(call)
    try:
        with recording:
            recording.result = experiment.invoke(bound)
    except Exception:  # noqa: BLE001 - the experiment's own, shown as Python would, and in the record
        click.echo(recording.run.traceback, nl=False, err=True)
        raise SystemExit(RecorderError.exit_status) from None
    finally:
        number = recording.run.number
        click.secho(f"run {number}: recorder show {number}", err=True, dim=True)


def _attend(experiment: Experiment, attendance: Attendance) -> None:
    """Run it in a rank of a job that is not the first: nothing is recorded."""
    try:
        with attendance as bound:
            experiment.invoke(bound)
    except Exception as error:  # noqa: BLE001 - the experiment's own, shown as Python would
        click.echo(own_traceback(error), nl=False, err=True)
        raise SystemExit(RecorderError.exit_status) from None


def _arguments(bound: inspect.BoundArguments) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """By name wherever a name can be given, as a parameter may have been left out."""
    kinds = {name: bound.signature.parameters[name].kind for name in bound.arguments}
    if inspect.Parameter.VAR_POSITIONAL in kinds.values():
        bound.apply_defaults()
        return bound.args, bound.kwargs
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for name, value in bound.arguments.items():
        if kinds[name] is inspect.Parameter.POSITIONAL_ONLY:
            args.append(value)
        elif kinds[name] is inspect.Parameter.VAR_KEYWORD:
            kwargs.update(value)
        else:
            kwargs[name] = value
    return tuple(args), kwargs
