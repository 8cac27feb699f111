"""The command line, ``recorder COMMAND``: the only package that prints.

Exit status: 0 done or reproduced, 1 diverged or different, 2 wrong usage, 3 failed, 4 nothing could be verified,
130 interrupted.
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
from .output import color_setting, replace_unencodable

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

# Groups of commands in the order of the help: name, module and help line of each. A command is imported when it is
# used, so that `recorder --help` costs little more than click.
_GROUPS = {
    "Record": {
        "run": ("run", "Run an experiment with a config, or a sweep over several."),
        "exec": ("exec_", "Run any command line and record it."),
    },
    "Look at runs": {
        "list": ("list", "List runs with their config and metrics."),
        "show": ("show", "Show everything about one run."),
        "logs": ("logs", "Print the console output of a run."),
        "cat": ("cat", "Print an output, an input or the result of a run."),
        "plot": ("plot", "Plot metrics in the terminal or into a file."),
        "diff": ("diff", "Compare runs, or a run with the working tree."),
        "code": ("code", "List or print the source files of a run."),
        "env": ("env", "Show the environment of a run, or export its packages."),
    },
    "Replay": {
        "replay": ("replay", "Run recorded runs again and compare the results."),
    },
    "Manage": {
        "tag": ("tag", "Add a tag to runs."),
        "untag": ("untag", "Remove a tag from runs."),
        "note": ("note", "Write a note on runs."),
        "remove": ("remove", "Move runs to the trash, or back."),
        "restore": ("restore", "Write outputs, inputs or code of runs into a folder."),
        "gc": ("gc", "Delete what no run refers to, and free disk space."),
        "du": ("du", "Show the disk usage of experiments or runs."),
        "check": ("check", "Verify the integrity of the store, and repair it."),
        "export": ("export", "Write runs with everything they need into a zip file."),
        "import": ("import_", "Add the runs of an export or of another store."),
    },
    "Learn": {
        "guide": ("guide", "Read the guide in the terminal."),
    },
}
_COMMANDS = {name: entry for group in _GROUPS.values() for name, entry in group.items()}

INTERRUPTED = 130


class _Commands(click.Group):
    """The commands by name, each imported when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = import_module(f".commands.{_COMMANDS[cmd_name][0]}", __name__)
        command: click.Command = module.command
        if not any(parameter.name == _STORE_NAME for parameter in command.params):
            command.params.append(_store_option())
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; for an unknown name suggest the nearest."""
        if args[0] not in _COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], _COMMANDS, n=2)
            hint = f"did you mean {' or '.join(near)}?" if near else "recorder --help lists them"
            ctx.fail(f"no command {args[0]!r}: {hint}")
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete commands and options without importing the commands."""
        from click.shell_completion import CompletionItem

        names = [name for name in sorted(_COMMANDS) if name.startswith(incomplete)]
        items = [CompletionItem(name, help=_COMMANDS[name][1]) for name in names]
        return items + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands group by group, without importing them."""
        width = max(map(len, _COMMANDS))
        for title, group in _GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), line) for name, (_, line) in group.items()])


# The parameter of the `--store` that every command has, apart from a parameter `store` that the command defines.
_STORE_NAME = "store_here"
_STORE_HELP = (
    "Store to use. Default: RECORDER_STORE, or the first .recorder folder from here upwards."
)


def _store_option() -> click.Option:
    """Make the ``--store`` of a command, which wins over one before the command."""
    return click.Option(
        ["--store", _STORE_NAME],
        metavar="FOLDER",
        expose_value=False,
        is_eager=True,
        callback=_use_store,
        help=_STORE_HELP,
    )


def _use_store(ctx: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        ctx.obj = value
    if ctx.find_root().params.get("verbose") and not ctx.resilient_parsing:
        _narrate(ctx.obj)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="run-recorder", prog_name="recorder")
@click.option("--store", metavar="FOLDER", help=_STORE_HELP)
@click.option(
    "-v",
    "--verbose",
    is_flag=True,
    help="Log processes and file access of the store to stderr (logger `recorder`).",
)
@click.pass_context
def cli(ctx: click.Context, store: str | None, verbose: bool) -> None:
    """Record Python experiments, replay them, and compare them.

    \b
    Examples:
      recorder run train.py:train lr=0.1,0.01 --repeat 3
      recorder list --group-by lr
      recorder replay last
      recorder guide

    Commands name a run by its number (12), the beginning of its id (4 characters or more), last, last~2,
    last-replay, an experiment (train is its newest run, train~1 the one before) or a tag. Replays count only for
    last-replay. Where a command takes several runs, 8-10 is a range and a tag names every run that has it.

    Exit status: 0 done or reproduced, 1 diverged or different, 2 wrong usage, 3 failed, 4 nothing could be
    verified, 130 interrupted.
    """
    ctx.obj = store
    ctx.color = color_setting()


def _narrate(store: str | None) -> None:
    """Log from now on what recorder does, beginning with the store it uses."""
    from pathlib import Path

    from ..errors import StoreNotFoundError
    from ..store.format import find_store, store_folder
    from .verbose import log_to_stderr, narrate

    logger = log_to_stderr()
    try:
        path = store_folder(Path(store)) if store else find_store()
        logger.info("store: %s", path)
    except StoreNotFoundError as error:
        path = None
        logger.info("%s", error)
    narrate(logger, store=path)


def main(args: list[str] | None = None) -> None:
    """Run the command line and exit with its status."""
    if "_RECORDER_COMPLETE" in os.environ:
        from .completion import prepare_completion

        prepare_completion()
    run_command(cli, args, name="recorder")


def run_command(command: click.Command, args: Sequence[str] | None, *, name: str) -> NoReturn:
    """Run a click command and exit with its status; an expected error is one line without a traceback."""
    warnings.showwarning = _show_warning
    replace_unencodable()
    words = None if args is None else [*args]  # `list` is a command here once it is loaded
    try:
        status: Any = command.main(args=words, prog_name=name, standalone_mode=False)
    except click.exceptions.Exit as done:
        status = done.exit_code
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        _complain("interrupted")
        status = INTERRUPTED
    except QueryError as error:
        _complain(str(error))  # several lines: a caret stands under the mistake
        status = error.exit_status
    except RecorderError as error:
        _complain(" ".join(str(error).split()))
        status = error.exit_status
    except BrokenPipeError:
        # The reader has closed the pipe (`recorder list | head`); Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    except OSError as error:
        _complain(f"{error.strerror or error}" + (f": {error.filename}" if error.filename else ""))
        status = RecorderError.exit_status
    sys.exit(status if isinstance(status, int) else 0)


def _complain(message: str) -> None:
    click.secho(f"recorder: {message}", err=True, fg="red", color=color_setting())


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print a warning of recorder's in one line, without its place in the source; any other as Python does."""
    if issubclass(category, RecorderWarning):
        click.secho(f"recorder: warning: {message}", err=True, fg="yellow", color=color_setting())
    else:
        sys.stderr.write(warnings.formatwarning(message, category, filename, lineno))
