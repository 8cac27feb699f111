"""``recorder run``: an experiment with a config from the command line.

It starts the interpreter again, with what must be set before that; so all but that is imported late.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click

from ..capture.determinism import fixed_variables


@click.command()
@click.argument("target", metavar="TARGET")
@click.argument("settings", nargs=-1, metavar="[KEY=VALUE]...")
@click.option(
    "--deterministic",
    is_flag=True,
    help="Deterministic algorithms of PyTorch, TensorFlow, cuBLAS, MKL and XLA; one thread (see --threads). An"
    " operation that has no such algorithm fails.",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    metavar="N",
    help="Threads of OpenMP, MKL, OpenBLAS and their like. Sums are rounded otherwise with another number; 1 with"
    " --deterministic, as every machine has it, where a variable does not say otherwise.",
)
@click.pass_obj
def command(
    path: str | None,
    target: str,
    settings: tuple[str, ...],
    deterministic: bool,
    threads: int | None,
) -> None:
    """Run the experiment TARGET, FILE.py:NAME or MODULE:NAME, and record it.

    Values are typed by the function's annotations and defaults; lists and dicts are JSON; a dotted key sets one
    entry of a dict. A function without @record is recorded all the same. In a job of several ranks the first one
    records, the others run it without.

    PYTHONHASHSEED is 0 where it is not set, so that the order of sets is the same in each run.

    Example: recorder run train.py:train lr=0.2 epochs=10
    """
    variables = fixed_variables(os.environ, deterministic=deterministic, threads=threads)
    if variables and target in sys.argv:  # a caller from Python has an interpreter of its own
        _start_again(variables)
    if path is not None:
        os.environ["RECORDER_STORE"] = str(Path(path).absolute())
    sys.argv = [target.rpartition(":")[0]]
    from ..config.settings import split_settings
    from .launch import launch

    launch(target, split_settings(settings))


def _start_again(variables: dict[str, str]) -> None:
    """The same command in a fresh interpreter that has the variables: Python and the libraries read them once."""
    command = [sys.executable, *sys.orig_argv[1:]]
    environ = {**os.environ, **variables}
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name == "nt":  # there, exec leaves the shell without its child
        sys.exit(subprocess.run(command, env=environ).returncode)
    os.execve(sys.executable, command, environ)
