"""The guide is complete and true: its sessions print what it shows, and its reference is the one of this version."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from project import Project
from reference import reference
from sessions import DOCUMENTS, GUIDE, ROOT, has_examples, play, steady

from recorder.cli import cli
from recorder.cli.commands.guide import topics

EXAMPLES = [path for path in DOCUMENTS if has_examples(path)]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_sessions_print_what_the_document_shows(path: Path, project: Project) -> None:
    """Each command of a document, in a fresh repository, prints what the document shows.

    `python tests/sessions.py --write` writes the output of this version into the documents.
    """
    for example in play(path, project):
        assert steady(example.printed) == steady(example.shown)


def test_the_command_reference_is_current() -> None:
    """commands.md has the options and texts of this version's commands; `python tests/sessions.py --write` writes it."""
    assert (GUIDE / "commands.md").read_text() == reference()


def test_every_page_is_a_topic() -> None:
    """The index lists each page of the guide once, and the site's navigation has the same order."""
    listed = [topic.name for topic in topics()]
    assert sorted(listed) == sorted(
        path.stem for path in GUIDE.glob("*.md") if path.stem != "index"
    )
    navigation = re.findall(r"^  - (?:.*: )?(\S+)\.md$", (ROOT / ".mkdocs.yml").read_text(), re.M)
    assert navigation == ["index", *listed]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_links_lead_somewhere(path: Path) -> None:
    """Each link to a page or a section has a target."""
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name) if name else path
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def anchors(path: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub and mkdocs form them."""
    text = re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {
        re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings
    }


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_code_blocks_are_valid(path: Path) -> None:
    """Python and JSON in a document parse."""
    for language, text in re.findall(
        r"^```(python|json)\n(.*?)^```$", path.read_text(), re.M | re.S
    ):
        if language == "json":
            json.loads(text)
        elif not text.startswith(">>>"):
            ast.parse(text)


@pytest.mark.parametrize(
    "path", [path for path in DOCUMENTS if path.stem != "commands"], ids=lambda path: path.stem
)
def test_options_exist(path: Path) -> None:
    """Each option that a document gives to a command is one of its options."""
    context = click.Context(cli)
    shown = re.findall(
        r"(?:^|[`$ ])recorder ((?:--store \S+ )?)([a-z]+)( [^`|\n]*)?",
        path.read_text(),
        re.MULTILINE,
    )
    for _, name, rest in shown:
        command = cli.get_command(context, name)
        if command is None:
            continue  # a sentence about recorder
        known = {option for param in command.params for option in param.opts} | {
            "--help",
            "--store",
        }
        used = re.findall(r"(?<= )--?[a-z][a-z-]*", rest.partition(" -- ")[0].partition(" && ")[0])
        assert set(used) <= known, name + rest


def test_the_site_builds(tmp_path: Path) -> None:
    """mkdocs builds the guide as a site without a warning."""
    pytest.importorskip("mkdocs")
    pytest.importorskip("mkdocstrings")
    command = [
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--quiet",
        "-f",
        ".mkdocs.yml",
        "-d",
        str(tmp_path),
    ]
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "replay" / "index.html").exists()
