"""Cells: what each run of a sweep is called with."""

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
    """One run: what its parameters are set to, in the order in which that is put in, and what varies in its sweep.

    `seed` is given to the run of a function that has no parameter for it; None lets it be drawn.
    """

    assignments: tuple[Assignment, ...]
    seed: int | None = None
    varied: tuple[tuple[str, str], ...] = ()


class Grid(NamedTuple):
    """The cells of a command line, and what should be said about it beforehand."""

    cells: tuple[Cell, ...]
    notes: tuple[str, ...] = ()


class Prepared(NamedTuple):
    """A cell that is about to run: what it would record, or, in a job's further ranks, how it attends."""

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
    """The cells that the texts ``KEY=VALUE`` make, over what presets and files say (`below`).

    With `repeat`, each combination is run with so many seeds: S, S + 1, ..., where S is `seed`, else what the
    parameter for the seed is set to, else 0.
    Raises ConfigError.
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
    """A seed for a function that takes none is no key, and yet can be given."""
    parameter = experiment.options.seed
    if not settings.takes(parameter) and any(split_setting(text)[0] == parameter for text in texts):
        raise ConfigError(
            f"{experiment.name} takes no {parameter!r}: {SEED_OPTION} N, or --repeat N, seeds it all the same",
            key=parameter,
        )


def _check_seeds(
    experiment: Experiment, axes: Sequence[Axis], *, seed: int | None, repeat: int | None
) -> None:
    """The seed is said once: by the option or by the key, and not by a grid and a repetition both."""
    parameter = experiment.options.seed
    given = next((axis for axis in axes if axis.key == parameter), None)
    if given is not None and seed is not None:
        raise ConfigError(f"{SEED_OPTION} and {parameter}= are both given", key=parameter)
    if given is not None and repeat is not None and len(given.texts) > 1:
        raise ConfigError(
            f"--repeat and several values of {parameter} are both given", key=parameter
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
    """The cell's arguments, defaults applied; nothing is run or recorded. Raises ConfigError."""
    args, kwargs = _arguments(experiment, cell)
    try:
        return bind(experiment.signature, args, kwargs, seed=experiment.options.seed)
    except TypeError as error:
        raise _misfit(experiment, error) from error


def prepare_cell(experiment: Experiment, cell: Cell) -> Prepared:
    """The cell, ready to run; its store is made where there is none. Raises ConfigError, RecorderError."""
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
    """By name wherever a name can be given, as a parameter may have been left out."""
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
