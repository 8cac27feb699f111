"""`recorder guide`: topics, pages and search."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys

import pytest
from click.testing import CliRunner
from project import Project

from recorder.cli import cli
from recorder.cli.commands.guide import read_topic, search, topics
from recorder.errors import ContentNotFoundError
from recorder.hazards import KINDS


def guide(*args: str) -> str:
    """Return what ``recorder guide ARGS`` prints in a pipe."""
    done = CliRunner().invoke(cli, ["guide", *args], catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


def test_lists_every_topic_with_a_summary() -> None:
    """Without a topic, each page is listed in reading order with a line about it."""
    lines = guide().splitlines()
    assert [line.split()[0] for line in lines[: len(topics())]] == [
        topic.name for topic in topics()
    ]
    assert lines[0].startswith("tutorial") and lines[0].endswith("replay one.")


@pytest.mark.parametrize("name", [topic.name for topic in topics()])
def test_shows_a_page_as_markdown_in_a_pipe(name: str) -> None:
    """A page is printed as Markdown, without markers of the tests, site directives, and links between pages."""
    shown = guide(name)
    assert shown.startswith("# ")
    assert not re.search(r"<!--|^:::|\]\([\w-]+\.md", shown, re.MULTILINE)


def test_names_the_command_that_shows_a_linked_page() -> None:
    """A link to another page becomes the command that shows it."""
    assert "[seeds]" not in read_topic("record")
    assert "seeds (`recorder guide seeds`)" in read_topic("record")


def test_formats_a_page_on_a_terminal(project: Project) -> None:
    """On a terminal, headings and tables are formatted, and the pager shows the page."""
    main_end, terminal = pty.openpty()
    env = {**os.environ, "PAGER": "cat", "TERM": "xterm", "COLUMNS": "80"}
    process = subprocess.Popen(
        [sys.executable, "-m", "recorder", "guide", "verdict"],
        cwd=project.root, env=env, stdin=terminal, stdout=terminal, stderr=terminal,
    )  # fmt: skip
    os.close(terminal)
    shown = b""
    while True:
        try:
            part = os.read(main_end, 65536)
        except OSError:  # Linux: every process has closed the terminal
            break
        if not part:
            break
        shown += part
    os.close(main_end)
    assert process.wait() == 0
    text = re.sub(r"\x1b\[[0-9;]*m", "", shown.decode())
    assert "The verdict" in text and "identical" in text
    assert "# The verdict" not in text and "|---|" not in text


def test_search_finds_sections_with_all_words() -> None:
    """Every word must occur in a section, in any case; sections with the words in their heading come first."""
    found = search("HASH order")
    assert "hash order" in found[0].heading.lower()
    assert all("hash" in f"{s.heading}{s.text}".lower() for s in found)
    assert "seeds: Hash order" in guide("--search", "hash order")


def test_an_unknown_topic_suggests_near_ones() -> None:
    """A misspelled topic suggests the nearest one, and a word of the guide the page about it."""
    with pytest.raises(ContentNotFoundError, match="did you mean replay"):
        read_topic("repaly")
    with pytest.raises(ContentNotFoundError, match="did you mean"):
        read_topic("wandb")
    with pytest.raises(ContentNotFoundError, match="recorder guide lists them"):
        read_topic("qqqq")


def test_a_search_without_a_match_is_an_error(project: Project) -> None:
    """A search without a match says so and exits with 3."""
    done = project.recorder("guide", "--search", "qqqq", status=3)
    assert "no section of the guide contains 'qqqq'" in done.stderr


def test_every_kind_of_hazard_is_documented() -> None:
    """The page about limits has every kind of hazard, under the heading of its weight."""
    parts = re.split(r"^## ", read_topic("limits"), flags=re.MULTILINE)
    headings = {"blocker": "Hazards that prevent", "care": "Hazards that need", "note": "Notes"}
    for name, kind in KINDS.items():
        (part,) = [part for part in parts if part.startswith(headings[kind.weight])]
        assert f"*{name}*" in part, name
