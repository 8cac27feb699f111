"""The examples in README.md and the guide: find them, run them, and write their true output into the documents.

::

    python tests/sessions.py                        list the documents whose output is out of date
    python tests/sessions.py --write [FILE...]      run the examples and write what they print; without FILE, write the
                                                    command reference too

A document is run from top to bottom in an empty project. These elements count, each at the start of a line:

=====================================  ===============================================================
a code block that begins ``# NAME``    a file: written to the project and committed
``<!-- session -->`` and a console     shell commands, after ``$``, with what they print
``<!-- python -->`` and a python       a Python session, after ``>>>``, in a new process
``<!-- files: DOCUMENT -->``           write the files of another document of the same folder
``<!-- shell: COMMANDS -->``           run commands that the reader does not see
=====================================  ===============================================================
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from project import ROOT, Project, bin_folder
from reference import reference

GUIDE = ROOT / "recorder" / "guide"
README = ROOT / "README.md"
DOCUMENTS = [README, *sorted(GUIDE.glob("*.md"))]

_ELEMENT = re.compile(
    r"^<!-- files: (?P<files>\S+) -->$"
    r"|^<!-- shell: (?P<shell>.*?) -->$"
    r"|^<!-- session -->\n```console\n(?P<session>.*?)^```$"
    r"|^<!-- python -->\n```python\n(?P<python>.*?)^```$"
    r"|^```[a-z]+\n(?P<file># (?P<name>[\w-]+\.\w+)\n.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_COMMAND = re.compile(r"^\$ (.*)\n", re.MULTILINE)

# Parts of an output that change between runs or machines: ages, durations, sizes of archives, times, digests. The last
# bits of a number depend on the processor's BLAS.
_VARYING = [
    (re.compile(r"\b(\d+\.\d+ s|\d+ ms)\b"), "DURATION"),
    (re.compile(r"\b\d+ (s|min)\b"), "AGE"),
    (re.compile(r"\b\d+(\.\d)? [kM]?B\b"), "SIZE"),
    (re.compile(r"\b1[78]\d{8}\.\d+"), "CLOCK"),
    (re.compile(r"\d\.\de[-+]\d\d (relative|absolute)"), "ERROR"),
    (re.compile(r"\b(\d+\.\d{11})\d{2,}\b"), r"\1"),
    (re.compile(r"\b[0-9a-f]{12}\b"), "DIGEST"),
    (re.compile(r"\bsnapshot [0-9a-f]{10}\b"), "SNAPSHOT"),
    (re.compile(r"\bcommit [0-9a-f]{7,}\b"), "COMMIT"),
    (re.compile(r"\bPython 3\.\d+\.\d+"), "PYTHON"),
    (re.compile(r"\banother store \(\w+\)"), "another store"),
    (re.compile(r"\bredacted, [0-9a-f]{8}\b"), "MARKER"),
    (re.compile(r"\bsweep-[0-9a-z]{6}\b"), "SWEEP"),
]

# Run in the project: print the session on standard input with what its examples print now.
_PYTHON_RUNNER = r"""
import contextlib, doctest, io, sys, traceback
names = {}
for part in doctest.DocTestParser().parse(sys.stdin.read()):
    if isinstance(part, str):
        sys.stdout.write(part)
        continue
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        try:
            exec(compile(part.source, "<session>", "single"), names)
        except Exception as error:
            print("Traceback (most recent call last):\n    ...")
            print(traceback.format_exception_only(error)[-1].strip())
    first, *more = part.source.splitlines()
    print(f">>> {first}", *(f"... {line}".rstrip() for line in more), sep="\n")
    sys.stdout.write(shown.getvalue().replace("\n\n", "\n<BLANKLINE>\n"))
"""


class Example(NamedTuple):
    """A session of a document: the text of its code block, and what the same commands print now."""

    start: int
    end: int
    shown: str
    printed: str

    @property
    def is_current(self) -> bool:
        """The document shows what is printed, apart from what varies."""
        return steady(self.shown) == steady(self.printed)


def steady(text: str) -> list[str]:
    """Return the lines without the parts that vary and without the widths of columns."""
    for pattern, name in _VARYING:
        text = pattern.sub(name, text)
    return [" ".join(line.split()) for line in text.splitlines()]


def files_of(text: str) -> dict[str, str]:
    """Return the files that a document defines, by name."""
    return {m["name"]: m["file"] for m in _ELEMENT.finditer(text) if m["name"]}


def has_examples(path: Path) -> bool:
    """Return True if the document has at least one session."""
    return any(m["session"] or m["python"] for m in _ELEMENT.finditer(path.read_text()))


def play(path: Path, project: Project) -> Iterator[Example]:
    """Run the examples of the document in the project, in order."""
    folder = bin_folder(project.root.parent)
    env = {**project.env, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}

    def shell(command: str) -> str:
        done = subprocess.run(
            command,
            shell=True,
            cwd=project.root,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return done.stdout.replace(str(project.root), "/home/me/project")

    def write(files: dict[str, str]) -> None:
        for name, text in files.items():
            (project.root / name).write_text(text)
        project.commit()

    for element in _ELEMENT.finditer(path.read_text()):
        if element["files"]:
            write(files_of((path.parent / element["files"]).read_text()))
        elif element["shell"]:
            shell(element["shell"])
        elif element["session"]:
            commands = _COMMAND.findall(element["session"])
            printed = "".join(f"$ {command}\n{shell(command)}" for command in commands)
            yield Example(*element.span("session"), element["session"], printed)
        elif element["python"]:
            done = project.python("-c", _PYTHON_RUNNER, input=element["python"])
            yield Example(*element.span("python"), element["python"], done.stdout)
        else:
            write({element["name"]: element["file"]})


def update(path: Path, *, write: bool) -> bool:
    """Run the examples of the document; write what has changed if asked to. Return True if it was up to date."""
    text = path.read_text()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "project")
        root.mkdir()
        examples = list(play(path, Project(root)))
    outdated = [example for example in examples if not example.is_current]
    for example in reversed(outdated):
        text = text[: example.start] + example.printed + text[example.end :]
    if write and outdated:
        path.write_text(text)
    return not outdated


def main(args: list[str]) -> int:
    """Run the command line; return its exit status."""
    write = "--write" in args
    named = [Path(arg).resolve() for arg in args if not arg.startswith("-")]
    for name in ("RECORDER_STORE", "PYTHONHASHSEED", "GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"):
        os.environ.pop(name, None)
    os.environ["RECORDER_KEY_FILE"] = f"{tempfile.mkdtemp(prefix='recorder-key-')}/key"
    status = 0
    if not named and (GUIDE / "commands.md").read_text() != reference():
        if write:
            (GUIDE / "commands.md").write_text(reference())
        print(f"commands.md: {'written' if write else 'out of date'}")
        status = int(not write)
    for path in named or DOCUMENTS:
        if has_examples(path) and not update(path, write=write):
            print(f"{path.relative_to(ROOT)}: {'written' if write else 'out of date'}")
            status = int(not write)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
