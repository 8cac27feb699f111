"""Tests for editable installs outside the project: snapshot, replay, and comparison."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from project import Project

from recorder.records import Code, Record
from recorder.store.store import RunStore

RUN = """
    from recorder import record

    @record
    def answer(late: bool = False):
        if late:
            import lib
        else:
            lib = early
        return lib.VALUE

    if __name__ == "__main__":
        import sys
        late = "late" in sys.argv
        if not late:
            import lib as early
        answer(late)
    else:
        import lib as early
    """
FINDER = """
import sys
from importlib.util import spec_from_file_location
MAPPING = {"lib": "FOLDER"}

class EditableFinder:
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name in MAPPING:
            return spec_from_file_location(name, MAPPING[name] + "/__init__.py")

sys.meta_path.append(EditableFinder)
"""


class Editable:
    """A project with an experiment, another project with a library, and the folder where it is installed."""

    def __init__(self, project: Project, tmp_path: Path) -> None:
        self.project = project
        self.library = Project(tmp_path / "library")
        self.site = tmp_path / "site-packages"
        self.env = {"PYTHONPATH": str(self.site)}
        project.write("run.py", RUN)
        project.commit()
        self.library.root.mkdir()
        self.library.write("src/lib/__init__.py", "VALUE = 1\n")
        self.library.commit()
        info = self.site / "lib-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lib\nVersion: 1.0\n")
        said = {"url": self.library.root.as_uri(), "dir_info": {"editable": True}}
        (info / "direct_url.json").write_text(json.dumps(said))
        self.by_path_file()

    def by_path_file(self) -> None:
        """Install it with a .pth file that adds a folder to sys.path."""
        (self.site / "lib.pth").write_text(f"{self.library.root / 'src'}\n")
        start = f"import site; site.addsitedir({str(self.site)!r})"
        (self.site / "sitecustomize.py").write_text(start)

    def by_finder(self) -> None:
        """Install it with an import finder, under a name other than the folder's."""
        self.library.git("mv", "src/lib", "src/other")
        self.library.commit()
        (self.site / "lib.pth").unlink()
        text = FINDER.replace("FOLDER", str(self.library.root / "src" / "other"))
        (self.site / "__editable___lib_finder.py").write_text(text)
        (self.site / "sitecustomize.py").write_text("import __editable___lib_finder\n")

    def run(self, *args: str) -> Record:
        """Run the experiment, and return its record."""
        self.project.python("run.py", *args, env=self.env)
        return RunStore(self.project.root / ".recorder").runs()[-1]

    def change(self, text: str) -> None:
        """Change the library's module."""
        (module,) = self.library.root.glob("src/*/__init__.py")
        module.write_text(text)

    def recorder(self, *args: str, status: int | None = 0) -> str:
        """Return the output of a command."""
        return self.project.recorder(*args, env=self.env, status=status).stdout


@pytest.fixture
def editable(project: Project, tmp_path: Path) -> Iterator[Editable]:
    """A project that imports an editable install."""
    yield Editable(project, tmp_path)


def code_of(record: Record) -> Code:
    """Return the record's code, which must exist."""
    assert record.code is not None
    return record.code


@pytest.mark.parametrize("args", [(), ("late",)])
def test_an_editable_project_is_in_the_record(editable: Editable, args: tuple[str, ...]) -> None:
    """An editable project imported before or during the run has its own snapshot, commit, and state in the record."""
    editable.change("VALUE = 2\n")
    record = editable.run(*args)
    (found,) = code_of(record).projects
    assert (found.name, found.root) == ("lib", str(editable.library.root))
    assert (found.commit, found.dirty) == (editable.library.git("rev-parse", "HEAD"), True)
    store = RunStore(editable.project.root / ".recorder")
    assert found.snapshot is not None
    assert store.snapshots.read(found.snapshot, "src/lib/__init__.py") == b"VALUE = 2\n"
    assert f"lib at {found.commit[:12] if found.commit else ''}, dirty" in editable.recorder(
        "show", "1"
    )


@pytest.mark.parametrize("install", ["path file", "finder"])
def test_an_editable_project_is_replayed(editable: Editable, install: str) -> None:
    """A replay imports the project as it was, for every kind of install, and nothing of its current state."""
    if install == "finder":
        editable.by_finder()
    editable.run()
    editable.run("late")
    editable.change("raise RuntimeError('the live project was imported')\n")
    for run in ("1", "2"):
        found: dict[str, Any] = json.loads(editable.recorder("replay", run, "--json"))
        assert found["verdict"] == "reproduced"


def test_an_editable_project_is_compared(editable: Editable) -> None:
    """`recorder diff` names the changed file of the editable project, and marks it as outside the experiment."""
    editable.run()
    editable.change("VALUE = 3\n")
    editable.run()
    said = editable.recorder("diff", "1", "2", "--only", "code", status=None)
    assert "project lib file src/lib/__init__.py" in said and "only other files changed" in said
    store = RunStore(editable.project.root / ".recorder")
    one, other = store.runs()
    assert code_of(one).snapshot == code_of(other).snapshot
    assert one.fingerprint != other.fingerprint


def test_an_editable_projects_snapshot_belongs_to_the_run(
    editable: Editable, tmp_path: Path
) -> None:
    """gc keeps the snapshot, export includes it, check reports its loss, and a replay without it refuses to run."""
    record = editable.run()
    editable.recorder("gc")
    editable.recorder("check")
    editable.recorder("export", "1", str(tmp_path / "out.zip"))
    other = Project(tmp_path / "elsewhere")
    other.root.mkdir()
    env = {"RECORDER_STORE": str(other.root / "store")}
    other.recorder("import", str(tmp_path / "out.zip"), env=env)
    (found,) = code_of(record).projects
    assert found.snapshot is not None
    assert RunStore(other.root / "store").snapshots.has(found.snapshot)
    store = RunStore(editable.project.root / ".recorder")
    store.snapshots.drop([found.snapshot])
    assert found.snapshot in editable.recorder("check", status=None)
    done = editable.project.recorder("replay", "1", env=editable.env, status=3)
    assert "project lib" in done.stderr


def test_a_project_that_is_not_imported(editable: Editable) -> None:
    """A project that is not imported, or that is inside the root, is not listed."""
    editable.project.write(
        "other.py", "from recorder import record\n\n@record\ndef f():\n    pass\n\nf()\n"
    )
    editable.project.python("other.py", env=editable.env)
    (record,) = RunStore(editable.project.root / ".recorder").runs()
    assert code_of(record).projects == ()
