"""Draw the terminal session of the README, from a true one: ``python .github/session.py``.

It writes session-dark.svg and session-light.svg next to this file. The commands run in an empty project, on a
pseudo-terminal, so that their output has its colors.
"""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import SVG_EXPORT_THEME, TerminalTheme
from rich.text import Text

WIDTH = 112
EXPERIMENT = """\
from pathlib import Path
from recorder import record

@record
def vocabulary(text: str = "to be or not to be that is the question"):
    words = set(text.split())
    Path("vocabulary.txt").write_text("\\n".join(words))
    return len(words)

vocabulary()
"""
COMMANDS = [
    "cat words.py",
    "python words.py",
    "recorder list",
    "recorder replay last",
    "recorder replay vocabulary --explain 2>/dev/null | tail -n 3",
]
LIGHT = TerminalTheme(
    (255, 255, 255),
    (36, 41, 47),
    [
        (36, 41, 47), (207, 34, 46), (17, 99, 41), (125, 78, 0),
        (9, 105, 218), (130, 80, 223), (27, 124, 131), (110, 119, 129),
    ],
)  # fmt: skip


def run(command: str, folder: Path, env: dict[str, str]) -> str:
    """Return what the command prints on a terminal, with its colors."""
    main_end, terminal = pty.openpty()
    process = subprocess.Popen(
        ["sh", "-c", command], cwd=folder, env=env, stdin=terminal, stdout=terminal, stderr=terminal
    )
    os.close(terminal)
    printed = io.BytesIO()
    while True:
        try:
            part = os.read(main_end, 65536)
        except OSError:  # Linux: every process has closed the terminal
            break
        if not part:
            break
        printed.write(part)
    process.wait()
    os.close(main_end)
    return printed.getvalue().decode().replace("\r\n", "\n")


def play() -> Text:
    """Run the commands in a new project; return the session."""
    session = Text()
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent, "project")
        folder.mkdir()
        (folder / "words.py").write_text(EXPERIMENT)
        env = {
            **os.environ,
            "COLUMNS": str(WIDTH),
            "TERM": "xterm-256color",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "RECORDER_KEY_FILE": str(Path(parent, "key")),
        }
        git = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org"]
        subprocess.run([*git, "init", "-q"], cwd=folder, check=True)
        subprocess.run([*git, "add", "-A"], cwd=folder, check=True)
        subprocess.run([*git, "commit", "-qm", "words"], cwd=folder, check=True)
        for command in COMMANDS:
            session.append("$ ", style="dim")
            session.append(f"{command}\n", style="bold")
            session.append_text(Text.from_ansi(run(command, folder, env)))
            if session.plain[-1:] != "\n":
                session.append("\n")
    return session


def draw(session: Text, path: Path, theme: TerminalTheme) -> None:
    """Write the session as an SVG file."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(session)
    svg = console.export_svg(title="recorder", theme=theme, unique_id="session")
    # No font from another server: the viewer's own monospaced one.
    path.write_text(
        re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL).replace("Fira Code", "monospace")
    )


def main() -> None:
    """Draw both pictures."""
    session = play()
    here = Path(__file__).parent
    draw(session, here / "session-dark.svg", SVG_EXPORT_THEME)
    draw(session, here / "session-light.svg", LIGHT)
    print(session.plain)


if __name__ == "__main__":
    main()
