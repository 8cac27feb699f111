"""Tests of `recorder env`: show the environment of a run, or print it as requirements."""

from __future__ import annotations

import json
import platform
import sys

import msgspec
from packaging.requirements import Requirement as Pep508
from project import Project

from recorder.environments.requirements import find_requirements, requirement_lines

PACKAGES = {
    "archived": {"version": "1.0", "url": "https://host/archived.whl", "sha256": "ab" * 32},
    "cloned": {"version": "2.0", "url": "https://host/cloned.git", "commit": "c" * 40},
    "edited": {"version": "3.0", "url": "file:///home/me/edited", "editable": True},
    "local": {"version": "4.0", "url": "file:///tmp/local-4.0-py3-none-any.whl"},
    "plain": {"version": "5.0+cpu"},
    "silent": {"version": ""},
}
ENVIRONMENT = {
    "python": {"version": "3.11.7", "implementation": "CPython"},
    "packages": PACKAGES,
}


def test_each_origin_has_its_line() -> None:
    """A package from no index is pinned by URL, commit and digest; one that no installer can get is a comment."""
    lines = list(requirement_lines(ENVIRONMENT))
    assert lines == [
        "# CPython 3.11.7",
        f"archived @ https://host/archived.whl#sha256={'ab' * 32}",
        f"cloned @ git+https://host/cloned.git@{'c' * 40}",
        "# edited==3.0 was an editable install of file:///home/me/edited",
        "local @ file:///tmp/local-4.0-py3-none-any.whl",
        "plain==5.0+cpu",
        "# the version of silent was not recorded",
    ]
    names = [Pep508(line).name for line in lines if not line.startswith("#")]
    assert names == ["archived", "cloned", "local", "plain"]


def test_an_environment_without_packages() -> None:
    """An environment object without packages has no requirements."""
    assert find_requirements({}) == ()
    assert list(requirement_lines({})) == ["# Python version unknown"]


def test_the_command(project: Project) -> None:
    """The command shows Python, the packages and variables, as requirements and JSON too; --env takes a prefix."""
    project.write(
        "train.py",
        """
        from recorder import record
        import msgspec

        @record
        def train():
            return 1

        train()
        """,
    )
    project.commit()
    project.env["OMP_NUM_THREADS"] = "1"
    project.python("train.py")
    printed = project.recorder("env", "1").stdout
    assert (
        f"Python {platform.python_version()} ({sys.implementation.name.replace('cp', 'CP')}"
        in printed
    )
    assert "  OMP_NUM_THREADS=1\n" in printed
    assert any(line.split()[:1] == ["pytest"] for line in printed.splitlines())
    lines = project.recorder("env", "1", "--format", "requirements").stdout.splitlines()
    assert f"msgspec=={msgspec.__version__}" in lines
    found = json.loads(project.recorder("env", "1", "--json").stdout)
    assert found["packages"]["msgspec"]["version"] == msgspec.__version__
    project.recorder("env", "1", "--json", "--format", "requirements", status=2)
    project.recorder("env", "9", status=3)
    printed = project.recorder("replay", "1", "--env", sys.prefix, "--plan").stdout
    assert f"with Python {platform.python_version()}" in printed
    missing = project.recorder("replay", "1", "--env", "nowhere", "--plan", status=3).stderr
    assert "no Python at nowhere" in missing
    assert project.recorder("replay", "1", "--env", sys.prefix).stdout.count("identical")
