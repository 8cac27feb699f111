"""``recorder run``: run an experiment with a config, or a sweep over several.

It may restart the interpreter with environment variables that Python reads only when it starts, so everything else
is imported late.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from ..completion import complete_settings, complete_targets
from ..running.options import RunOptions, SettingsCommand, run_options
from ..running.restart import restart


@click.command(cls=SettingsCommand)
@click.argument("target", metavar="TARGET", shell_complete=complete_targets)
@click.argument("settings", nargs=-1, metavar="[KEY=VALUE]...", shell_complete=complete_settings)
@run_options
@click.pass_context
def command(ctx: click.Context, /, target: str, settings: tuple[str, ...], **options: Any) -> None:
    """Run an experiment with a config, or a sweep over several.

    \b
    Examples:
      recorder run train.py:train lr=0.2 epochs=10
      recorder run train.py:train lr=0.1,0.01 --repeat 2 -j 2
      recorder run train.py:train lr=0.1,0.01 epochs=2:5 --dry-run

    TARGET is FILE.py:NAME or MODULE:NAME; the function is recorded with or without @record.

    KEY=VALUE sets an argument, read as its annotation or default says. Lists and dicts are JSON. A dotted key sets
    an entry of a dict or an attribute: optim.lr=0.1.

    Several values make a sweep, one run for each combination: lr=0.1,0.01 and seed=0:10 (0 to 9), or the key several
    times. A value that the argument takes as a whole is one value: a string with commas, or a list in JSON. Each run
    of a sweep is a separate process. If one fails, the others go on, and the exit status is 3.

    PYTHONHASHSEED is set to 0 if it is not set, so that set order is the same in every run. In a job of several
    ranks, only the first rank records.
    """
    chosen = RunOptions(**options)
    if target in sys.argv:  # a caller from Python keeps its interpreter
        restart(chosen)
    if ctx.obj is not None:
        os.environ["RECORDER_STORE"] = str(Path(ctx.obj).absolute())
    sys.argv = [target.rpartition(":")[0]]
    from ..running.launch import launch, load

    ctx.exit(launch(load(target), target, settings, chosen))
