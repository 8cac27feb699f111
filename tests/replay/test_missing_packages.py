"""Tests of replays in an environment that lacks packages of the run."""

from __future__ import annotations

import json
import sys
import venv
from pathlib import Path

import pytest
from project import ROOT, Project


def make_python(folder: Path, *packages: str) -> str:
    """Return an interpreter with this one's packages and the given ones, each a module that defines ``VALUE = 1``."""
    venv.create(folder, with_pip=False)
    (site,) = folder.glob("lib/python*/site-packages")
    shared = [entry for entry in sys.path if entry.endswith("site-packages")]
    (site / "others.pth").write_text("\n".join([*shared, str(ROOT), ""]))
    for name in packages:
        (site / f"{name}.py").write_text("VALUE = 1\n")
        info = site / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "RECORD").write_text(f"{name}.py,,\n")
    return str(folder / "bin" / "python")


@pytest.mark.skipif(sys.platform == "win32", reason="its virtual environments have another layout")
@pytest.mark.parametrize("place", ["top", "function"])
def test_a_missing_package_stops_the_replay(project: Project, tmp_path: Path, place: str) -> None:
    """A missing package that the code imports blocks the replay before anything runs, and the message has the cure."""
    full, bare = make_python(tmp_path / "full", "tiny"), make_python(tmp_path / "bare")
    top, inside = ("import tiny", "pass") if place == "top" else ("", "import tiny")
    project.write(
        "exp.py",
        f"""
        {top}
        from recorder import record

        @record
        def f():
            open("begun", "w").close()
            {inside}
            return tiny.VALUE

        if __name__ == "__main__":
            f()
        """,
    )
    project._run([full, "exp.py"])
    done = project._run([full, "-m", "recorder", "replay", "1", "--env", bare], status=3)
    assert done.stderr == (
        "recorder: run 1 cannot be replayed: its code imports tiny 1.0, which is not installed;"
        " try: recorder replay 1 --env rebuild (or --env PATH)\n"
    )
    plan = project._run([bare, "-m", "recorder", "replay", "1", "--plan", "--json"], status=3)
    assert len(json.loads(plan.stdout)["blockers"]) == 1
    assert len(json.loads(project.recorder("list", "--json").stdout)) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="its virtual environments have another layout")
def test_an_optional_package_does_not_stop_the_replay(project: Project, tmp_path: Path) -> None:
    """A missing package that only another package imported is a difference, and does not block the replay."""
    full, bare = (
        make_python(tmp_path / "full", "tiny", "extra"),
        make_python(tmp_path / "bare", "tiny"),
    )
    (tiny,) = Path(full).parent.parent.glob("lib/python*/site-packages/tiny.py")
    tiny.write_text("import extra\nVALUE = 1\n")
    project.write(
        "exp.py",
        """
        import tiny
        from recorder import record

        @record
        def f():
            return tiny.VALUE

        if __name__ == "__main__":
            f()
        """,
    )
    project._run([full, "exp.py"])
    done = project._run([full, "-m", "recorder", "replay", "1", "--env", bare])
    assert "differs: extra: 1.0 -> none" in done.stderr and "reproduced" in done.stdout
