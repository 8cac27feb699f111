"""The command reference of the guide, generated from the commands: recorder/guide/commands.md."""

from __future__ import annotations

import inspect
import re

import click

from recorder.cli import cli

_HEAD = """\
# Command reference

This page is generated from `recorder COMMAND --help`. Every command also takes `--store FOLDER`.

"""


def reference() -> str:
    """Return the reference of all commands as Markdown."""
    root = click.Context(cli, info_name="recorder")
    parts = [_HEAD, _describe(cli, root, heading="recorder")]
    for name in cli.list_commands(root):
        command = cli.get_command(root, name)
        assert command is not None
        context = click.Context(command, info_name=name, parent=root)
        parts.append(_describe(command, context, heading=f"recorder {name}"))
    return "\n".join(parts).rstrip() + "\n"


def _describe(command: click.Command, context: click.Context, *, heading: str) -> str:
    usage = " ".join(command.get_usage(context).removeprefix("Usage: ").split())
    paragraphs = inspect.cleandoc(command.help or "").replace("\b\n", "").split("\n\n")
    examples = [line for text in paragraphs if _is_example(text) for line in _commands(text)]
    lines = [f"## {heading}", "", "```sh", usage, *examples, "```", ""]
    for paragraph in paragraphs:
        if not _is_example(paragraph):
            lines += [_plain(paragraph), ""]
    is_root = context.parent is None
    rows = [
        _row(param, context)
        for param in command.params
        if isinstance(param, click.Option) and (is_root or "--store" not in param.opts)
    ]
    return "\n".join([*lines, "| option | |", "|---|---|", *filter(None, rows), ""])


def _is_example(paragraph: str) -> bool:
    return paragraph.startswith(("Example:", "Examples:"))


def _commands(paragraph: str) -> list[str]:
    """Return the command lines of a paragraph of examples, each of which begins with ``recorder``."""
    text = " ".join(paragraph.partition(":")[2].split())
    return [line.strip() for line in re.split(r"(?:^|\s)(?=recorder )", text) if line.strip()]


def _row(option: click.Option, context: click.Context) -> str:
    shown = option.get_help_record(context)
    return "" if shown is None else f"| `{_cell(shown[0])}` | {_cell(_plain(shown[1]))} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")


def _plain(text: str) -> str:
    """Escape what Markdown would read as formatting, outside of code."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(p if p.startswith("`") else re.sub(r"([*_<\[])", r"\\\1", p) for p in parts)
