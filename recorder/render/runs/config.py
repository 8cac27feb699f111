"""What would run: a config with the source of each value, and the cells of a sweep."""

from __future__ import annotations

from collections.abc import Sequence

import click

from ... import codec
from ...batch.cells import Cell, bind_cell
from ...capture.code.function import find_receiver
from ...capture.config import encode_config
from ...config.layers import DEFAULT, source_of
from ...recording.experiment import Experiment
from ...secrets.register import Secrets
from ..text import Column, render

_WIDTH = 60


def config_table(experiment: Experiment, cells: Sequence[Cell]) -> str:
    """Each key of the config, its value (of several cells all that there are), and where that comes from."""
    flats = [_flatten(experiment, cell) for cell in cells]
    keys = list(dict.fromkeys(key for flat in flats for key in flat))
    values = [", ".join(dict.fromkeys(flat[key] for flat in flats if key in flat)) for key in keys]
    sources = [_source(key, cells, parameter=experiment.options.seed) for key in keys]
    lines = [f"{experiment.name}: {count_runs(len(cells))}"]
    if keys:
        titles = [Column("", keys), Column("value", values), Column("from", sources)]
        lines.append(render(titles))
    if experiment.presets:
        lines.append(f"presets: {', '.join(experiment.presets)}")
    return "\n".join(lines)


def cells_table(experiment: Experiment, cells: Sequence[Cell]) -> str:
    """A line for each cell, with what varies."""
    lines = [f"{experiment.name}: {count_runs(len(cells))}"]
    keys = list(dict.fromkeys(key for cell in cells for key, _ in cell.varied))
    if keys:
        varied = [dict(cell.varied) for cell in cells]
        lines.append(
            render([Column(key, [one.get(key, "") for one in varied], right=True) for key in keys])
        )
    return "\n".join(lines)


def count_runs(count: int) -> str:
    """``1 run``, ``20 runs``."""
    return f"{count} run" if count == 1 else f"{count:,} runs"


def _flatten(experiment: Experiment, cell: Cell) -> dict[str, str]:
    """The config of the cell by dotted keys, without credentials; the seed too, where that is given."""
    arguments = bind_cell(experiment, cell).arguments
    options = experiment.options
    config = encode_config(
        arguments,
        secrets=Secrets(named=options.secrets, public=options.public),
        receiver=find_receiver(experiment.function, arguments),
    )
    flat = {k: codec.describe(v, width=_WIDTH) for k, v in codec.flatten(config.forms).items()}
    if cell.seed is not None:
        return {**flat, options.seed: str(cell.seed)}
    return flat if options.seed in flat else {**flat, options.seed: click.style("drawn", dim=True)}


def _source(key: str, cells: Sequence[Cell], *, parameter: str) -> str:
    if any(cell.seed is not None for cell in cells) and key == parameter:
        return "--repeat" if len(cells) > 1 else "--seed"
    found = dict.fromkeys(source_of(key, cell.assignments) for cell in cells)
    said = ", ".join(found)
    return click.style(said, dim=True) if said == DEFAULT else said
