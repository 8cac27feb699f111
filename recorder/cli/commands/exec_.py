"""``recorder exec``: any command line, recorded."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ...errors import ConfigError
from ...recording.exec import execute, prepare_command
from ..numbers import WholeNumber


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("argv", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- CMD [ARG]...")
@click.option("--name", metavar="NAME", help="The experiment's name; by default the program's.")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="A tag for the run.")
@click.option(
    "--seed",
    type=WholeNumber(0),
    metavar="N",
    help="Sets RECORDER_SEED and PYTHONHASHSEED for the command.",
)
@click.option(
    "--input", "inputs", multiple=True, metavar="PATH", help="A file or folder that it reads."
)
@click.option(
    "--output", "outputs", multiple=True, metavar="PATH", help="A file or folder that it writes."
)
@click.pass_context
def command(
    ctx: click.Context,
    argv: tuple[str, ...],
    name: str | None,
    tags: tuple[str, ...],
    seed: int | None,
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
) -> None:
    """Run the command CMD with its arguments, and record it; its exit status is passed on.

    The arguments are the config, the exit status is the result. The files that it wrote below the working directory
    are its outputs, those that --output names as well; files among the arguments are its inputs. Runs that it
    records itself, with @record, become part of this one. Signals are passed on to it.

    Example: recorder exec -- python train.py --epochs 10
    """
    for path in inputs:
        if not Path(path).exists():
            raise ConfigError(f"no input {path}", key=path)
    call = prepare_command(argv, name=name, tags=tags, seed=seed, store=ctx.obj)
    sys.argv[:] = argv
    done = execute(call, argv, inputs=inputs, outputs=outputs)
    number = done.run.number
    click.secho(f"run {number}: recorder show {number}", err=True, dim=True)
    ctx.exit(done.status)
