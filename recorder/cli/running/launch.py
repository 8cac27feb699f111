"""Launch an experiment from the command line: one run in this process, or a sweep of several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
import msgspec

from ...batch.cells import Cell, Prepared, bind_cell, plan_cells, prepare_cell
from ...capture.failure import own_traceback
from ...config.files import read_config
from ...config.presets import call_presets
from ...config.settings import Assignment
from ...errors import RecorderError
from ...recording.entrypoint import load_target
from ...recording.execution import Execution
from ...recording.experiment import Experiment
from ...recording.reuse import reuse
from ...recording.secondary_rank import Attendance
from ...store.query.refs import check_tag
from ..output import strict_encoding
from .options import RunOptions


def load(target: str) -> Experiment:
    """Load the experiment. Raises TargetError."""
    with _own_exceptions():
        return load_target(target, cwd=Path.cwd())


@contextmanager
def _own_exceptions() -> Iterator[None]:
    """Show an exception of the user's code as Python does, without recorder's frames, and end the program."""
    try:
        yield
    except RecorderError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a module, a preset or an experiment raises
        click.echo(own_traceback(error), nl=False, err=True)
        raise SystemExit(RecorderError.exit_status) from None


def launch(
    experiment: Experiment, target: str, settings: Sequence[str], options: RunOptions
) -> int:
    """Run the experiment and return the exit status.

    Args:
        experiment: The experiment.
        target: The name by which another process finds it.
        settings: ``KEY=VALUE`` strings.
        options: The options of the command.
    """
    for tag in options.tags:
        check_tag(tag)
    grid = plan_cells(
        experiment,
        settings,
        below=read_layers(experiment, options),
        seed=options.seed,
        repeat=options.repeat,
    )
    for note in grid.notes:
        click.secho(f"note: {note}", err=True, dim=True)
    for cell in grid.cells:  # a mistake in the last config must show before the first one runs
        bind_cell(experiment, cell)
    if options.print_config or options.dry_run:
        from ...render.runs.config import cells_table, config_table

        view = config_table if options.print_config else cells_table
        click.echo(view(experiment, grid.cells))
        return 0
    if len(grid.cells) > 1:
        from .sweep import run_sweep

        return run_sweep(experiment, target, grid.cells, options)
    return _run(experiment, grid.cells[0], options)


def read_layers(experiment: Experiment, options: RunOptions) -> list[Assignment]:
    """Return the values from presets and config files, in that order. Raises ConfigError."""
    with _own_exceptions():
        presets = [*call_presets(experiment.presets, options.presets, experiment=experiment.name)]
    return [*presets, *(one for path in options.configs for one in read_config(path))]


def _run(experiment: Experiment, cell: Cell, options: RunOptions) -> int:
    prepared = prepare_cell(experiment, cell)
    if prepared.attendance is not None:
        return _attend(experiment, prepared.attendance)
    return _record(experiment, prepared, options)


def _record(experiment: Experiment, prepared: Prepared, options: RunOptions) -> int:
    assert prepared.call is not None
    if options.reuse or experiment.options.reuse:
        reused = reuse(prepared.call)
        if reused is not None:
            number = reused.record.number
            if options.tags:
                prepared.call.project.store.retag([number], add=options.tags)
            click.secho(f"run {number} is reused: recorder show {number}", err=True, dim=True)
            return 0
    call = msgspec.structs.replace(prepared.call, tags=(*prepared.call.tags, *options.tags))
    execution = Execution(experiment, call, prepared.bound)
    execution.run.note = options.note
    try:
        with strict_encoding():
            execution.complete()
    except Exception:  # noqa: BLE001 - the experiment's own; it is in the record, too
        click.echo(execution.run.traceback, nl=False, err=True)
        return RecorderError.exit_status
    finally:
        number = execution.run.number
        click.secho(f"run {number}: recorder show {number}", err=True, dim=True)
    return 0


def _attend(experiment: Experiment, attendance: Attendance) -> int:
    """Run the experiment in a secondary rank of a job, where nothing is recorded."""
    with _own_exceptions(), attendance:
        experiment.invoke(attendance.bound)
    return 0
