"""The command line: ``recorder COMMAND``. Only here is anything printed.

Exit status: 0 done or reproduced, 1 diverged or differing, 2 wrong usage, 3 could not be done, 4 ran, but
nothing could be verified, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

import click

from ..errors import QueryError, RecorderError, RecorderWarning

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

# Each command is loaded with its first use, so that `recorder --help` costs little more than click:
# its name, its module, and its line in the help.
_COMMANDS = {
    "cat": ("cat", "Print an output, an input or the result of a run."),
    "check": ("check", "Verify every byte of the store, and repair it."),
    "code": ("code", "List the files of the code that ran, or print one."),
    "du": ("du", "Show how much room the runs take."),
    "env": ("env", "Show the environment of a run, or print its requirements."),
    "exec": ("exec_", "Run any command line, and record it."),
    "export": ("export", "Write runs, with all that belongs to them, into a zip file."),
    "gc": ("gc", "Remove what no run refers to."),
    "guide": ("guide", "Read the guide in the terminal."),
    "remove": ("remove", "Put runs into the trash, or take them out again."),
    "diff": ("diff", "Say what differs between runs, or has changed since one."),
    "import": ("import_", "Bring in runs from an export, or from another store."),
    "list": ("list", "List the runs of the store."),
    "logs": ("logs", "Print what a run printed."),
    "note": ("note", "Give runs a note."),
    "plot": ("plot", "Plot metrics of runs, in the terminal or into a file."),
    "replay": ("replay", "Run a run again in a clean workspace, and give a verdict."),
    "restore": ("restore", "Write outputs, inputs or code of a run into a folder."),
    "run": ("run", "Run an experiment with a config from the command line."),
    "show": ("show", "Show everything about one run."),
    "tag": ("tag", "Give runs a tag."),
    "untag": ("untag", "Take a tag from runs."),
}

INTERRUPTED = 130


class _Commands(click.Group):
    """The commands by name, imported when asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = import_module(f".commands.{_COMMANDS[cmd_name][0]}", __name__)
        command: click.Command = module.command
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands and options that begin so, without importing the commands."""
        from click.shell_completion import CompletionItem

        named = [name for name in sorted(_COMMANDS) if name.startswith(incomplete)]
        found = [CompletionItem(name, help=_COMMANDS[name][1]) for name in named]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands and their lines, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, _COMMANDS[name][1]) for name in sorted(_COMMANDS)])


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="run-recorder", prog_name="recorder")
@click.option(
    "--store", metavar="FOLDER", help="The store; by default the first one from here upwards."
)
@click.option(
    "-v",
    "--verbose",
    is_flag=True,
    help="Say on stderr what happens: processes, files of the store.",
)
@click.pass_context
def cli(ctx: click.Context, store: str | None, verbose: bool) -> None:
    """A flight recorder for Python experiments.

    A run is named by its number, a prefix of its id (4 characters and up), `last`, `last~2`, an experiment's
    name for its newest run, `train~1` for the one before it, or a tag.

    Exit status: 0 done or reproduced, 1 diverged or differing, 2 wrong usage, 3 could not be done, 4 ran, but
    nothing could be verified, 130 interrupted.
    """
    ctx.obj = store
    ctx.color = _colour()
    if verbose:
        _narrate(store)


def _narrate(store: str | None) -> None:
    """Have it said what happens from now on, and which store it is about."""
    from pathlib import Path

    from ..errors import StoreNotFoundError
    from ..store.format import find_store, store_folder
    from .verbose import narrate

    def say(text: str) -> None:
        click.secho(text, err=True, dim=True, color=_colour())

    try:
        path = store_folder(Path(store)) if store else find_store()
        say(f"the store is {path}")
    except StoreNotFoundError as error:
        path = None
        say(str(error))
    narrate(say, store=path)


def main(args: list[str] | None = None) -> None:
    """Run the command line and exit with its status."""
    if "_RECORDER_COMPLETE" in os.environ:
        from .completion import prepare_completion

        prepare_completion()
    run_command(cli, args, name="recorder")


def run_command(command: click.Command, args: Sequence[str] | None, *, name: str) -> NoReturn:
    """Run a command and exit with its status; a person's mistake is one line, no traceback."""
    warnings.showwarning = _show_warning
    given = None if args is None else [*args]  # `list` is a command here, once it is loaded
    try:
        status: Any = command.main(args=given, prog_name=name, standalone_mode=False)
    except click.exceptions.Exit as done:
        status = done.exit_code
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        _complain("interrupted")
        status = INTERRUPTED
    except QueryError as error:
        _complain(str(error))  # three lines: the caret stands under the mistake
        status = error.exit_status
    except RecorderError as error:
        _complain(" ".join(str(error).split()))
        status = error.exit_status
    except BrokenPipeError:
        # The reader has gone (`recorder list | head`); Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    except OSError as error:
        _complain(f"{error.strerror or error}" + (f": {error.filename}" if error.filename else ""))
        status = RecorderError.exit_status
    sys.exit(status if isinstance(status, int) else 0)


def _complain(message: str) -> None:
    click.secho(f"recorder: {message}", err=True, fg="red", color=_colour())


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """A warning of ours in one line, without a place in the source; any other as Python has it."""
    if issubclass(category, RecorderWarning):
        click.secho(f"recorder: warning: {message}", err=True, fg="yellow", color=_colour())
    else:
        sys.stderr.write(warnings.formatwarning(message, category, filename, lineno))


def _colour() -> bool | None:
    """False where NO_COLOR says so (https://no-color.org), which click leaves to us; else as the terminal is."""
    return False if os.environ.get("NO_COLOR") else None
