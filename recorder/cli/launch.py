"""The experiment that ``recorder run`` names: loaded, called and recorded."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import click

from ..attendance import Attendance
from ..capture.failure import own_traceback
from ..config.settings import apply_settings
from ..errors import ConfigError, RecorderError
from ..execution import Execution
from ..experiment import Experiment
from ..replay.target import load_target


def launch(target: str, settings: dict[str, str]) -> None:
    """Run the experiment with settings as texts; SystemExit where it fails."""
    _run(_load(target), settings)


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
    execution = Execution(experiment, call, bound)
    try:
        execution.complete()
    except Exception:  # noqa: BLE001 - the experiment's own, shown as Python would, and in the record
        click.echo(execution.run.traceback, nl=False, err=True)
        raise SystemExit(RecorderError.exit_status) from None
    finally:
        number = execution.run.number
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
