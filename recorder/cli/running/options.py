"""The options of ``recorder run``, which an experiment's own command line shares."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click

from ..completion import complete_tags
from ..numbers import WholeNumber
from ..run_selection import add_options

C = TypeVar("C", bound=Callable[..., Any])


class RunOptions(NamedTuple):
    """The values of the options."""

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
    """Give a command all of the options."""
    return add_options(command, _OPTIONS)


_OPTIONS = (
    click.option(
        "--config",
        "configs",
        multiple=True,
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Read values from a .toml, .json or .yaml file; repeatable, later files win.",
    ),
    click.option(
        "--preset",
        "presets",
        multiple=True,
        metavar="NAME",
        help="Use the values that the function NAME, decorated with @EXPERIMENT.preset, returns. Values from"
        " --config and KEY=VALUE win.",
    ),
    click.option(
        "--seed",
        type=int,
        metavar="N",
        help="Seed of the run, whether or not the experiment has a parameter for it.",
    ),
    click.option(
        "--repeat",
        type=WholeNumber(1),
        metavar="N",
        help="Run each config with N seeds: S, S+1, ...; S is --seed, else the configured seed, else 0.",
    ),
    click.option(
        "--tag",
        "tags",
        multiple=True,
        metavar="TAG",
        shell_complete=complete_tags,
        help="Tag each run; repeatable.",
    ),
    click.option("--note", default="", metavar="TEXT", help="Write a note on each run."),
    click.option(
        "-j",
        "--jobs",
        type=WholeNumber(1),
        default=1,
        metavar="N",
        show_default=True,
        help="Run N processes of a sweep at a time.",
    ),
    click.option(
        "-y", "--yes", is_flag=True, help="Run a sweep of more than 100 runs without asking."
    ),
    click.option(
        "--reuse",
        is_flag=True,
        help="Reuse a finished run with the same code, config, seed, environment and inputs, if there is one.",
    ),
    click.option("--dry-run", is_flag=True, help="List the runs of the sweep; run nothing."),
    click.option(
        "--print-config",
        is_flag=True,
        help="Show each value and where it comes from; run nothing.",
    ),
    click.option(
        "--deterministic",
        is_flag=True,
        help="Use deterministic algorithms of PyTorch, TensorFlow, cuBLAS, MKL and XLA, and one thread unless"
        " --threads or a variable such as OMP_NUM_THREADS is set. An operation without such an algorithm fails.",
    ),
    click.option(
        "--threads",
        type=WholeNumber(1),
        metavar="N",
        help="Threads of OpenMP, MKL, OpenBLAS and similar libraries. Another number can change the last digits of"
        " sums.",
    ),
)
