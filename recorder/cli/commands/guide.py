"""``recorder guide``: read the manual in the terminal."""

from __future__ import annotations

import difflib
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator
from importlib.resources import files
from typing import NamedTuple

import click
from click.shell_completion import CompletionItem

from ...errors import ContentNotFoundError

_LINK = re.compile(r"\[([^\]]+)\]\((?:([\w-]+)\.md)?(?:#[\w-]+)?\)")
_LISTED = re.compile(r"^- \[.*?\]\(([\w-]+)\.md\): (.*)$", re.MULTILINE)
# Comments mark the examples that the tests run; `:::` blocks are docstrings that only the site shows.
_UNSEEN = re.compile(r"^(?:<!--.*?-->|::: .*(?:\n    .*)*)\n", re.MULTILINE | re.DOTALL)
_WIDTH = 100


class Topic(NamedTuple):
    """A page of the guide: the `name` to ask for, and a line about it."""

    name: str
    summary: str


class Section(NamedTuple):
    """A part of a page under one heading."""

    topic: str
    heading: str
    text: str


def topics() -> list[Topic]:
    """Return the pages of the guide in reading order, as its index lists them."""
    return [Topic(name, summary) for name, summary in _LISTED.findall(_read("index"))]


def read_topic(name: str) -> str:
    """Return a page as Markdown for the terminal. Raises ContentNotFoundError, with the nearest names."""
    names = [topic.name for topic in topics()]
    if name not in names:
        near = difflib.get_close_matches(name.lower(), names, n=3) or [
            section.topic for section in search(name)[:1]
        ]
        hint = f"did you mean {' or '.join(near)}?" if near else "recorder guide lists them"
        raise ContentNotFoundError(
            f"the guide has no topic {name!r}: {hint}", name=name, candidates=near
        )
    return _LINK.sub(_spell_out, _UNSEEN.sub("", _read(name)))


def search(words: str) -> list[Section]:
    """Return the sections that contain all of the words, in any case; headings that contain them come first."""
    wanted = words.lower().split()
    found = [
        section
        for topic in topics()
        for section in _sections(topic.name)
        if all(word in f"{section.heading}\n{section.text}".lower() for word in wanted)
    ]
    return sorted(found, key=lambda s: not all(word in s.heading.lower() for word in wanted))


def _complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [
        CompletionItem(t.name, help=t.summary) for t in topics() if t.name.startswith(incomplete)
    ]


@click.command()
@click.argument("topic", required=False, shell_complete=_complete)
@click.option(
    "--search", "words", metavar="WORDS", help="List the sections that contain all of the words."
)
def command(topic: str | None, words: str | None) -> None:
    """Read the guide in the terminal.

    \b
    Examples:
      recorder guide
      recorder guide replay
      recorder guide --search seed

    Without TOPIC it lists the topics. On a terminal a page is formatted and shown in a pager; in a pipe it is Markdown.
    """
    if words is not None and topic is not None:
        raise click.UsageError("give either TOPIC or --search WORDS")
    if words is not None:
        _print_found(words)
    elif topic is not None:
        _show(read_topic(topic))
    else:
        _print_topics()


def _read(name: str) -> str:
    return (files("recorder") / "guide" / f"{name}.md").read_text(encoding="utf-8")


def _spell_out(link: re.Match[str]) -> str:
    """Name the command that shows a link's page: a terminal cannot follow a link between pages."""
    words, topic = link.groups()
    return words if topic is None else f"{words} (`recorder guide {topic}`)"


def _sections(name: str) -> Iterator[Section]:
    heading, lines, in_code = "", list[str](), False
    for line in read_topic(name).splitlines():
        in_code ^= line.startswith("```")
        if line.startswith("#") and not in_code:
            yield Section(name, heading, "\n".join(lines))
            heading, lines = line.lstrip("# "), []
        else:
            lines.append(line)
    yield Section(name, heading, "\n".join(lines))


def _print_topics() -> None:
    listed = topics()
    width = max(len(topic.name) for topic in listed)
    for topic in listed:
        click.echo(f"{click.style(topic.name.ljust(width), bold=True)}  {topic.summary}")
    click.echo("\nread one with: recorder guide TOPIC; search with: recorder guide --search WORDS")


def _print_found(words: str) -> None:
    found = search(words)
    if not found:
        raise ContentNotFoundError(
            f"no section of the guide contains {words!r}; recorder guide lists the topics",
            name=words,
        )
    for section in found:
        click.echo(f"{click.style(section.topic, bold=True)}: {section.heading}")
        excerpt = _excerpt(section.text, words.lower().split())
        if excerpt:
            click.echo(f"    {excerpt}")


def _excerpt(text: str, words: list[str]) -> str:
    """Return the line that contains most of the words, cut around the first of them to fit a terminal."""
    lines = [re.sub(r"[`*\\]+", "", line).replace("|", " ").strip() for line in text.splitlines()]
    line = max(lines, key=lambda line: sum(word in line.lower() for word in words))
    places = [line.lower().find(word) for word in words if word in line.lower()]
    if not places or len(line) <= _WIDTH:
        return line if places else ""
    start = line.rfind(" ", 0, max(0, min(places) - _WIDTH // 3)) + 1
    return textwrap.shorten(line[start:], _WIDTH, placeholder=" ...")


def _show(text: str) -> None:
    if not sys.stdout.isatty():
        click.echo(text)
        return
    from ...render.markdown import render_markdown

    width = min(shutil.get_terminal_size().columns, _WIDTH)
    color = click.get_current_context().color is not False
    click.echo_via_pager(render_markdown(text, width=width, color=color), color=color)
