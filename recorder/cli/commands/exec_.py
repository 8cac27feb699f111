"""``recorder exec``: run any command line and record it."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ...errors import ConfigError
from ...recording.exec import execute, prepare_command
from ..completion import complete_tags
from ..numbers import WholeNumber


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("argv", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- CMD [ARG]...")
@click.option(
    "--name", metavar="NAME", help="Name of the experiment. Default: the program's file name."
)
@click.option(
    "--tag",
    "tags",
    multiple=True,
    metavar="TAG",
    shell_complete=complete_tags,
    help="Tag the run; repeatable.",
)
@click.option(
    "--seed",
    type=WholeNumber(0),
    metavar="N",
    help="Set RECORDER_SEED and PYTHONHASHSEED for the command.",
)
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="PATH",
    help="File or folder that the command reads; repeatable.",
)
@click.option(
    "--output",
    "outputs",
    multiple=True,
    metavar="PATH",
    help="File or folder that the command writes; repeatable.",
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
    """Run any command line and record it.

    \b
    Examples:
      recorder exec -- python train.py --epochs 10
      recorder exec --name shell --output out.txt -- sh -c 'wc -l train.py > out.txt'

    The arguments become the config, and the exit status becomes the result. Outputs are the files that the command
    writes below the working directory, and those named by --output. Inputs are files among the arguments, and those
    named by --input. Runs that the command records itself, with @record, become part of this run.

    Signals are passed on to the command. Exit status: that of the command.
    """
    for path in inputs:
        if not Path(path).exists():
            raise ConfigError(f"no input {path}: there is no such file or folder", key=path)
    call = prepare_command(argv, name=name, tags=tags, seed=seed, store=ctx.obj)
    sys.argv[:] = argv
    done = execute(call, argv, inputs=inputs, outputs=outputs)
    number = done.run.number
    click.secho(f"run {number}: recorder show {number}", err=True, dim=True)
    ctx.exit(done.status)
