"""The cells of a sweep: the config and seed of each run."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..capture.code.function import signature_text
from ..capture.config import as_integer, bind
from ..config.grid import Axis, cross, find_axes
from ..config.settings import Assignment, Settings, split_setting
from ..errors import ConfigError
from ..recording.experiment import Experiment
from ..recording.invocation import Call
from ..recording.secondary_rank import Attendance

SEED_OPTION = "--seed"


class Cell(NamedTuple):
    """The config of one run.

    Attributes:
        assignments: The assignments to parameters, in the order of application.
        seed: The seed of a function without a parameter for it; None draws one.
        varied: Keys and values that vary within the sweep.
    """

    assignments: tuple[Assignment, ...]
    seed: int | None = None
    varied: tuple[tuple[str, str], ...] = ()


class Grid(NamedTuple):
    """The cells of a command line, and notes to show before they run."""

    cells: tuple[Cell, ...]
    notes: tuple[str, ...] = ()


class Prepared(NamedTuple):
    """A cell that is ready to run: its arguments and its call. A secondary rank has an attendance and no call."""

    bound: inspect.BoundArguments
    call: Call | None = None
    attendance: Attendance | None = None


def plan_cells(
    experiment: Experiment,
    texts: Sequence[str],
    *,
    below: Sequence[Assignment] = (),
    seed: int | None = None,
    repeat: int | None = None,
) -> Grid:
    """Return the cells of a command line.

    Args:
        experiment: The experiment to run.
        texts: Assignments ``KEY=VALUE``; a value may name several, which are combined.
        below: Assignments of presets and files, which `texts` override.
        seed: The seed; None for the parameter's value, or a drawn seed.
        repeat: The number of runs for each combination, with the seeds S, S + 1, ..., where S is `seed`, or else the
            value of the seed parameter, or else 0.

    Raises:
        ConfigError: A key, a value, or the combination of seeds is invalid.
    """
    settings = Settings(experiment.function)
    _check_takes_seed(experiment, settings, texts)
    base = settings.apply(below, values={})
    axes = find_axes(settings, texts, values=base)
    _check_seeds(experiment, axes, seed=seed, repeat=repeat)
    varying = {axis.key for axis in axes if len(axis.texts) > 1}
    cells = []
    for combination in cross(axes):
        assignments = (*below, *combination)
        varied = tuple((one.key, one.value) for one in combination if one.key in varying)
        values = settings.apply(combination, values=base)
        for number in _seeds(experiment, values, seed=seed, repeat=repeat):
            cells.append(_seeded(experiment, Cell(assignments, None, varied), number, repeat))
    return Grid(tuple(cells), tuple(axis.note for axis in axes if axis.note))


def _check_takes_seed(experiment: Experiment, settings: Settings, texts: Sequence[str]) -> None:
    """Raise ConfigError for ``seed=`` where the function has no such parameter, and name the option for it."""
    parameter = experiment.options.seed
    if not settings.takes(parameter) and any(split_setting(text)[0] == parameter for text in texts):
        raise ConfigError(
            f"{experiment.name} has no parameter {parameter!r}; to seed its generators: {SEED_OPTION} N or --repeat N",
            key=parameter,
        )


def _check_seeds(
    experiment: Experiment, axes: Sequence[Axis], *, seed: int | None, repeat: int | None
) -> None:
    """Raise ConfigError where the seed is given twice."""
    parameter = experiment.options.seed
    given = next((axis for axis in axes if axis.key == parameter), None)
    if given is not None and seed is not None:
        raise ConfigError(
            f"{SEED_OPTION} and {parameter}= exclude each other; give one", key=parameter
        )
    if given is not None and repeat is not None and len(given.texts) > 1:
        raise ConfigError(
            f"--repeat and several values of {parameter} exclude each other; give one",
            key=parameter,
        )


def _seeds(
    experiment: Experiment, values: dict[str, Any], *, seed: int | None, repeat: int | None
) -> Sequence[int | None]:
    if repeat is None:
        return [seed]
    first = seed
    if first is None and _takes_seed(experiment):
        parameter = experiment.signature.parameters[experiment.options.seed]
        first = as_integer(values.get(parameter.name, parameter.default))
    first = first or 0
    return range(first, first + repeat)


def _seeded(experiment: Experiment, cell: Cell, seed: int | None, repeat: int | None) -> Cell:
    if seed is None:
        return cell
    varied = cell.varied if repeat is None else (*cell.varied, ("seed", str(seed)))
    if not _takes_seed(experiment):
        return cell._replace(seed=seed, varied=varied)
    source = SEED_OPTION if repeat is None else "--repeat"
    given = Assignment(experiment.options.seed, str(seed), source=source)
    return cell._replace(assignments=(*cell.assignments, given), varied=varied)


def _takes_seed(experiment: Experiment) -> bool:
    return experiment.options.seed in experiment.signature.parameters


def bind_cell(experiment: Experiment, cell: Cell) -> inspect.BoundArguments:
    """Return a cell's arguments with defaults applied, without running it.

    Raises:
        ConfigError: The experiment does not take these arguments.
    """
    args, kwargs = _arguments(experiment, cell)
    try:
        return bind(experiment.signature, args, kwargs, seed=experiment.options.seed)
    except TypeError as error:
        raise _misfit(experiment, error) from error


def prepare_cell(experiment: Experiment, cell: Cell) -> Prepared:
    """Prepare a cell to run, and create the store where there is none.

    Raises:
        ConfigError: The experiment does not take these arguments.
        RecorderError: The run cannot be recorded.
    """
    args, kwargs = _arguments(experiment, cell)
    try:
        attendance = experiment.attend(args, kwargs)
        if attendance is not None:
            return Prepared(attendance.bound, attendance=attendance)
        call, bound = experiment.prepare(args, kwargs, given_seed=cell.seed)
    except TypeError as error:
        raise _misfit(experiment, error) from error
    return Prepared(bound, call)


def _misfit(experiment: Experiment, error: TypeError) -> ConfigError:
    text = f"{experiment.function.__name__}{signature_text(experiment.function)}"
    return ConfigError(f"{error}: {text}", signature=text)


def _arguments(experiment: Experiment, cell: Cell) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return positional and keyword arguments: keywords wherever possible, since a parameter may be missing."""
    values = Settings(experiment.function).apply(cell.assignments, values={})
    signature = experiment.signature
    ordered = {name: values[name] for name in signature.parameters if name in values}
    bound = inspect.BoundArguments(signature, ordered)
    kinds = {name: signature.parameters[name].kind for name in bound.arguments}
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
