"""The runs to come: a config with the source of each value, and the cells of a sweep."""

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
from ..text import Column, printable, render

_WIDTH = 60


def config_table(experiment: Experiment, cells: Sequence[Cell]) -> str:
    """Return a table of the config: each key, its values over all cells, and where they come from."""
    flats = [_flatten(experiment, cell) for cell in cells]
    keys = list(dict.fromkeys(key for flat in flats for key in flat))
    values = [", ".join(dict.fromkeys(flat[key] for flat in flats if key in flat)) for key in keys]
    sources = [_source(key, cells, parameter=experiment.options.seed) for key in keys]
    lines = [f"{experiment.name}: {count_runs(len(cells))}"]
    if keys:
        titles = [
            Column("", [printable(key) for key in keys]),
            Column("value", values),
            Column("from", sources),
        ]
        lines.append(render(titles))
    if experiment.presets:
        lines.append(f"presets: {', '.join(experiment.presets)}")
    return "\n".join(lines)


def cells_table(experiment: Experiment, cells: Sequence[Cell]) -> str:
    """Return one line for each cell, with the values that vary."""
    lines = [f"{experiment.name}: {count_runs(len(cells))}"]
    keys = list(dict.fromkeys(key for cell in cells for key, _ in cell.varied))
    if keys:
        varied = [dict(cell.varied) for cell in cells]
        columns = [
            Column(printable(key), [printable(one.get(key, "")) for one in varied], right=True)
            for key in keys
        ]
        lines.append(render(columns))
    return "\n".join(lines)


def count_runs(count: int) -> str:
    """Return ``1 run`` or ``20 runs``."""
    return f"{count} run" if count == 1 else f"{count:,} runs"


def _flatten(experiment: Experiment, cell: Cell) -> dict[str, str]:
    """Return the config of the cell by dotted keys, with the seed if it is set, and without credentials."""
    arguments = bind_cell(experiment, cell).arguments
    options = experiment.options
    config = encode_config(
        arguments,
        secrets=Secrets(named=options.secrets, public=options.public),
        receiver=find_receiver(experiment.function, arguments),
    )
    flat = {
        key: printable(codec.describe(form, width=_WIDTH))
        for key, form in codec.flatten(config.forms).items()
    }
    if cell.seed is not None:
        return {**flat, options.seed: str(cell.seed)}
    drawn = click.style("drawn at random", dim=True)
    return flat if options.seed in flat else {**flat, options.seed: drawn}


def _source(key: str, cells: Sequence[Cell], *, parameter: str) -> str:
    if any(cell.seed is not None for cell in cells) and key == parameter:
        return "--repeat" if len(cells) > 1 else "--seed"
    sources = ", ".join(dict.fromkeys(source_of(key, cell.assignments) for cell in cells))
    return click.style(sources, dim=True) if sources == DEFAULT else printable(sources)
