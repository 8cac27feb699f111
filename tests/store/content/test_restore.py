"""Tests of `recorder restore`: all or nothing, and nothing outside the folder."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest
from project import Project

from recorder.errors import ContentNotFoundError, DamageError, DestinationError
from recorder.store.content.restore import restore
from recorder.store.store import RunStore

SCRIPT = """
    import os
    import sys
    from pathlib import Path
    from recorder import record, save

    @record
    def f():
        Path("data.csv").read_text()
        Path(sys.argv[1]).read_text()
        Path("out/deep").mkdir(parents=True, exist_ok=True)
        Path("out/empty").mkdir(exist_ok=True)
        Path("out/deep/b.pt").write_text("b")
        Path("out/run.sh").write_text("#!/bin/sh")
        Path("out/run.sh").chmod(0o755)
        os.path.lexists("out/link") or os.symlink("deep/b.pt", "out/link")
        os.path.lexists("out/away") or os.symlink("/etc", "out/away")
        os.path.lexists("out/up") or os.symlink("../../x", "out/up")
        save("out")
        Path("p.csv").write_text("1")
        save("p.csv")
        save(3, name="three")

    f()
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project with one run, whose files have been changed since."""
    root = tmp_path_factory.mktemp("restoring") / "project"
    root.mkdir()
    project = Project(root)
    project.write(".gitignore", "data.csv\n")
    project.write("data.csv", "1,2\n")
    (root.parent / "elsewhere.txt").write_text("elsewhere")
    project.write("script.py", SCRIPT)
    (root / "same.py").symlink_to("script.py")
    (root / "outside").symlink_to("/etc/hostname")
    project.commit()
    project.python("script.py", str(root.parent / "elsewhere.txt"))
    project.write("data.csv", "changed\n")
    (root / "p.csv").write_text("2")
    return project


def tree(folder: Path) -> list[str]:
    """Return every path below the folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_outputs(project: Project, tmp_path: Path) -> None:
    """Files, folders with modes and links are restored exactly; values and links that lead out are left out."""
    done = project.recorder("restore", "1", "--to", str(tmp_path / "new" / "here"))
    here = tmp_path / "new" / "here"
    assert tree(here) == [
        "out", "out/deep", "out/deep/b.pt", "out/empty", "out/link", "out/run.sh", "p.csv"
    ]  # fmt: skip
    assert (here / "p.csv").read_text() == "1" and (here / "out/link").read_text() == "b"
    assert os.access(here / "out/run.sh", os.X_OK) and not os.access(here / "p.csv", os.X_OK)
    for said in ("three: a value", "out/away: a link that leads out", "out/up: a link"):
        assert said in done.stderr
    assert done.stdout.endswith(f" in {here}\n")
    assert tree(tmp_path / "new") == ["here", *(f"here/{path}" for path in tree(here))]


def test_names_and_patterns(project: Project, tmp_path: Path) -> None:
    """Paths, folders and patterns select files; a name that matches nothing raises an error with similar names."""
    project.recorder("restore", "1", "out/deep", "*.csv", "--to", str(tmp_path))
    assert tree(tmp_path) == ["out", "out/deep", "out/deep/b.pt", "p.csv"]
    said = project.recorder("restore", "1", "p.cvs", "--to", str(tmp_path / "no"), status=3).stderr
    assert "run 1 has no 'p.cvs' to restore: there is p.csv" in said
    said = project.recorder("restore", "1", "three", "--to", str(tmp_path / "no"), status=3).stderr
    assert "recorder cat 1:three" in said and not (tmp_path / "no").exists()


def test_inputs_and_code(project: Project, tmp_path: Path) -> None:
    """Inputs and code are restored under their paths in the project, an input from elsewhere under its whole path."""
    restore(
        RunStore(project.root), RunStore(project.root).get(1), tmp_path / "i", kinds=("inputs",)
    )
    assert (tmp_path / "i/data.csv").read_text() == "1,2\n"
    elsewhere = project.root.parent / "elsewhere.txt"
    assert (tmp_path / "i" / elsewhere.relative_to("/")).read_text() == "elsewhere"
    done = project.recorder("restore", "1", "--code", "--to", str(tmp_path / "c"))
    assert tree(tmp_path / "c") == [".gitignore", "same.py", "script.py"]
    assert (tmp_path / "c/same.py").is_symlink() and "outside: a link" in done.stderr
    project.recorder(
        "restore", "1", "--code", "--inputs", "--outputs", "--to", str(tmp_path / "all")
    )
    assert {"script.py", "data.csv", "p.csv"} <= set(tree(tmp_path / "all"))


def test_nothing_is_overwritten(project: Project, tmp_path: Path) -> None:
    """If one file exists, nothing is written; --force replaces files, but never a folder."""
    (tmp_path / "p.csv").write_text("mine")
    said = project.recorder("restore", "1", "--to", str(tmp_path), status=3).stderr
    assert "already exists: " in said and "p.csv (--force replaces files)" in said
    assert tree(tmp_path) == ["p.csv"] and (tmp_path / "p.csv").read_text() == "mine"
    project.recorder("restore", "1", "--to", str(tmp_path), "--force")
    assert (tmp_path / "p.csv").read_text() == "1"
    (tmp_path / "p.csv").unlink()
    (tmp_path / "p.csv").mkdir()
    said = project.recorder("restore", "1", "--to", str(tmp_path), "--force", status=3).stderr
    assert "a folder is never replaced" in said


def test_nothing_is_written_through_a_link(project: Project, tmp_path: Path) -> None:
    """A link that leads out of the folder is never followed, even with --force; a link in place of a file is replaced."""
    (tmp_path / "away").mkdir()
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / "out").symlink_to(tmp_path / "away")
    store = RunStore(project.root)
    with pytest.raises(DestinationError, match="outside"):
        restore(store, store.get(1), tmp_path / "to", force=True)
    (tmp_path / "away" / "kept").write_text("kept")
    (tmp_path / "to" / "p.csv").symlink_to(tmp_path / "away" / "kept")
    restore(store, store.get(1), tmp_path / "to", names=["p.csv"], force=True)
    assert tree(tmp_path / "away") == ["kept"]
    assert (tmp_path / "away/kept").read_text() == "kept"


@pytest.mark.parametrize("name", ["../x", "/tmp/x", "a/../../x", "."])
def test_a_name_that_leads_out_is_refused(project: Project, tmp_path: Path, name: str) -> None:
    """An output of a foreign record whose name leads out of the folder is not written."""
    store = RunStore(project.root)
    record = store.get(1)
    (output,) = (one for one in record.outputs if one.name == "p.csv")
    forged = msgspec.structs.replace(output, name=name)
    record = msgspec.structs.replace(record, outputs=(forged,))
    with pytest.raises(DestinationError, match="outside"):
        restore(store, record, tmp_path / "to", force=True)
    assert tree(tmp_path) == []


def test_nothing_is_written_through_a_link_of_the_run(project: Project, tmp_path: Path) -> None:
    """An output of a foreign record that lies behind a link of another output is refused."""
    store = RunStore(project.root)
    (tmp_path / "away").mkdir()
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "link").symlink_to(tmp_path / "away")
    tree_object = store.objects.put_tree(tmp_path / "tree")
    record = store.get(1)
    file = next(one for one in record.outputs if one.name == "p.csv")
    folder = next(one for one in record.outputs if one.kind == "folder")
    outputs = (
        msgspec.structs.replace(folder, name="out", digest=tree_object.digest),
        msgspec.structs.replace(file, name="out/link/deep/x"),
    )
    record = msgspec.structs.replace(record, outputs=outputs)
    with pytest.raises(DestinationError, match="through a link"):
        restore(store, record, tmp_path / "to")
    assert tree(tmp_path / "away") == [] and not (tmp_path / "to").exists()


def test_damage_and_absence_leave_nothing_behind(project: Project, tmp_path: Path) -> None:
    """If an object is damaged or a name is unknown, the folder is unchanged."""
    store = RunStore(project.root)
    record = store.get(1)
    (output,) = (one for one in record.outputs if one.name == "p.csv")
    path = store.objects.path(output.digest)
    path.chmod(0o644)
    path.write_text("9")
    with pytest.raises(DamageError):
        restore(store, record, tmp_path / "to")
    path.write_text("1")
    with pytest.raises(ContentNotFoundError):
        restore(store, record, tmp_path / "to", names=["nothing"])
    assert tree(tmp_path) == []
