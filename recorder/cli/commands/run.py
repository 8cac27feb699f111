"""``recorder run``: an experiment with a config from the command line.

It starts the interpreter again, with what must be set before that; so all but that is imported late.
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
    """Run the experiment TARGET, FILE.py:NAME or MODULE:NAME, and record it.

    Values are typed by the function's annotations and defaults; lists and dicts are JSON; a dotted key sets one
    entry of a dict. A function without @record is recorded all the same. In a job of several ranks the first one
    records, the others run it without.

    Several values of a key are a run each, with every combination: lr=0.1,0.01 seed=0:10 (0 to 9), or the key more
    than once. What the parameter takes as it stands is one value: a text with commas, a list in JSON. Each of several
    runs is a process of its own; one that fails does not stop the others, and the exit status is 3 then.

    PYTHONHASHSEED is 0 where it is not set, so that the order of sets is the same in each run.

    Example: recorder run train.py:train lr=0.2 epochs=10
    """
    chosen = RunOptions(**options)
    if target in sys.argv:  # a caller from Python has an interpreter of its own
        restart(chosen)
    if ctx.obj is not None:
        os.environ["RECORDER_STORE"] = str(Path(ctx.obj).absolute())
    sys.argv = [target.rpartition(":")[0]]
    from ..running.launch import launch, load

    ctx.exit(launch(load(target), target, settings, chosen))
