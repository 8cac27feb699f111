"""The options that say how an experiment is run: those of ``recorder run``, and of an experiment's own ``main``."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click

from ..numbers import WholeNumber

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


class SettingsCommand(click.Command):
    """A command with ``KEY=VALUE`` arguments, which explains them when an option is unknown."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments; for an unknown ``--lr 0.1``, suggest ``lr=0.1``."""
        given = [*args]  # click consumes the list
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            name = error.option_name
            if not name.startswith("--"):
                raise
            place = next(i for i, arg in enumerate(given) if arg.partition("=")[0] == name)
            _, equals, value = given[place].partition("=")
            if not equals:
                following = given[place + 1 : place + 2]
                value = following[0] if following and not following[0].startswith("--") else "VALUE"
            key = name.removeprefix("--").replace("-", "_")
            # Stricter than click, which takes --help for --lr.
            possible = difflib.get_close_matches(name, error.possibilities or (), n=1, cutoff=0.75)
            near = "".join(f" (did you mean {option}?)" for option in possible)
            message = f"no option {name}{near}; to set a parameter, write {key}={value}"
            raise click.UsageError(message, ctx) from None


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
        type=WholeNumber(1),
        metavar="N",
        help="Run each config with N seeds: S, S+1, ..., where S is --seed, else the seed that is set, else 0.",
    ),
    click.option("--tag", "tags", multiple=True, metavar="TAG", help="A tag for each run."),
    click.option("--note", default="", metavar="TEXT", help="A remark for each run."),
    click.option(
        "-j",
        "--jobs",
        type=WholeNumber(1),
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
        type=WholeNumber(1),
        metavar="N",
        help="Threads of OpenMP, MKL, OpenBLAS and their like. Sums are rounded otherwise with another number; 1 with"
        " --deterministic, as every machine has it, where a variable does not say otherwise.",
    ),
)  # fmt: skip
