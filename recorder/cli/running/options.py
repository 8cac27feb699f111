"""The options that say how an experiment is run: those of ``recorder run``, and of an experiment's own ``main``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click

C = TypeVar("C", bound=Callable[..., Any])


class RunOptions(NamedTuple):
    """What they were set to."""

    configs: tuple[Path, ...] = ()
    presets: tuple[str, ...] = ()
    seed: int | None = None
    repeat: int | None = None
    tags: tuple[str, ...] = ()
    note: str = ""
    jobs: int = 1
    yes: bool = False
    reuse: bool = False
    dry_run: bool = False
    print_config: bool = False
    deterministic: bool = False
    threads: int | None = None


def run_options(command: C) -> C:
    """Give a command all of them."""
    return give(command, _OPTIONS)


def give(command: C, options: Sequence[Callable[[C], C]]) -> C:
    """The command with the options, which its help lists in that order."""
    for option in reversed(options):
        command = option(command)
    return command


_OPTIONS = (
    click.option(
        "--config",
        "configs",
        multiple=True,
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Values from a .toml, .json or .yaml file; of several, later ones win.",
    ),
    click.option(
        "--preset",
        "presets",
        multiple=True,
        metavar="NAME",
        help="Values that a @NAME.preset function beside the experiment returns; below those of files.",
    ),
    click.option("--seed", type=int, metavar="N", help="The seed, whether or not there is a parameter for it."),
    click.option(
        "--repeat",
        type=click.IntRange(min=1),
        metavar="N",
        help="Run each config with N seeds: S, S+1, ..., where S is --seed, else the seed that is set, else 0.",
    ),
    click.option("--tag", "tags", multiple=True, metavar="TAG", help="A tag for each run."),
    click.option("--note", default="", metavar="TEXT", help="A remark for each run."),
    click.option(
        "-j",
        "--jobs",
        type=click.IntRange(min=1),
        default=1,
        metavar="N",
        help="Run N at a time, where there are several.",
    ),
    click.option("-y", "--yes", is_flag=True, help="Run more than 100 without asking."),
    click.option(
        "--reuse",
        is_flag=True,
        help="Where a finished run had the same code, config, seed, environment and inputs, take that one.",
    ),
    click.option("--dry-run", is_flag=True, help="Say what would run, a line for each run."),
    click.option(
        "--print-config", is_flag=True, help="Say what would run, and where each value comes from."
    ),
    click.option(
        "--deterministic",
        is_flag=True,
        help="Deterministic algorithms of PyTorch, TensorFlow, cuBLAS, MKL and XLA; one thread (see --threads). An"
        " operation that has no such algorithm fails.",
    ),
    click.option(
        "--threads",
        type=click.IntRange(min=1),
        metavar="N",
        help="Threads of OpenMP, MKL, OpenBLAS and their like. Sums are rounded otherwise with another number; 1 with"
        " --deterministic, as every machine has it, where a variable does not say otherwise.",
    ),
)  # fmt: skip
