"""The README is short and true: its two commands work in a fresh clone. test_guide.py runs its sessions."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from project import Project
from sessions import README, ROOT

FIRST_COMMAND, SECOND_COMMAND = re.findall(
    r"^python3 -m venv .*$", README.read_text(), re.MULTILINE
)


def split_command(command: str) -> list[list[str]]:
    """Return the commands between ``&&``, as words."""
    return [shlex.split(part) for part in command.split("&&")]


def test_the_readme_is_short() -> None:
    """The README has at most 150 lines; everything else is in the guide."""
    assert len(README.read_text().splitlines()) <= 150


def test_the_pictures_exist() -> None:
    """The README's pictures, for light and dark pages, are in the repository and show a session."""
    pictures = re.findall(r"\.github/session-\w+\.svg", README.read_text())
    assert len(pictures) == 2
    for name in pictures:
        assert "recorder" in (ROOT / name).read_text()


def test_the_first_command_installs_trains_and_replays(tmp_path: Path) -> None:
    """The command works in a fresh clone and a fresh environment, and leaves no files in the clone.

    The dependencies come from this environment; everything else is done as written.
    """
    clone = tmp_path / "clone"
    ignored = shutil.ignore_patterns(
        ".git", ".venv*", ".recorder", "__pycache__", ".*_cache", "*.egg-info"
    )
    shutil.copytree(ROOT, clone, ignore=ignored)
    Project(clone).commit()
    steps = split_command(FIRST_COMMAND)
    assert steps[0] == ["python3", "-m", "venv", ".venv"]
    assert steps[1] == [".venv/bin/pip", "install", "-q", ".[examples]"]
    venv.create(clone / ".venv", with_pip=False, system_site_packages=False)
    install_wheel(clone, tmp_path)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("RECORDER", "PYTHON"))}
    for step in steps[2:]:
        done = subprocess.run(step, cwd=clone, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().splitlines()[-1] == "reproduced"
    assert Project(clone).git("status", "--porcelain") == "", "the example left files in the clone"
    check_guide(clone / ".venv" / "bin" / "recorder", tmp_path, env)


def check_guide(script: Path, folder: Path, env: dict[str, str]) -> None:
    """Check that the installed wheel contains the guide."""
    for args, expected in [
        (["guide"], "tutorial"),
        (["guide", "replay"], "# Replay a run"),
        (["guide", "--search", "seed"], "seeds: Seeds and determinism"),
    ]:
        done = subprocess.run([script, *args], cwd=folder, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert expected in done.stdout


def install_wheel(clone: Path, tmp_path: Path) -> None:
    """Install the clone into its environment, with the packages of this environment as dependencies."""
    site = next((clone / ".venv").glob("lib/python*/site-packages"))
    wheel_folder = tmp_path / "wheel"
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(wheel_folder)]
    subprocess.run(command, cwd=clone, check=True, capture_output=True)
    wheel = next(wheel_folder.glob("run_recorder-*.whl"))
    shutil.unpack_archive(wheel, site, "zip")
    # The first entry of sys.path wins, so recorder is imported from the wheel.
    others = [entry for entry in sys.path if entry.endswith("site-packages")]
    (site / "others.pth").write_text("\n".join(others) + "\n")
    script = clone / ".venv" / "bin" / "recorder"
    script.write_text(f"#!{clone}/.venv/bin/python\nfrom recorder.cli import main\nmain()\n")
    script.chmod(0o755)


def test_the_second_command_is_what_ci_runs() -> None:
    """.ci/run takes the test command from the README, which makes an environment and runs the whole suite."""
    script = (ROOT / ".ci" / "run").read_text()
    (pattern,) = re.findall(r"^    grep '(.*)' README.md$", script, re.MULTILINE)
    assert [line for line in README.read_text().splitlines() if re.search(pattern, line)] == [
        SECOND_COMMAND
    ]
    assert split_command(SECOND_COMMAND) == [
        ["python3", "-m", "venv", ".venv"],
        [".venv/bin/pip", "install", "-q", "-e", ".[test]"],
        [".venv/bin/pytest", "-n", "2"],
    ]
    assert re.search(r'^step .* bash -c "\$\(readme_command\)"$', script, re.MULTILINE)
