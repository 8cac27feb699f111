"""Tests of the plan of a replay: its lines, its blockers, and the sources of inputs."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from project import Project

from recorder.environments.interpreter import describe_interpreter
from recorder.environments.recorded import load_environment
from recorder.records import Record
from recorder.replay.deviations import describe_deviations, find_deviations, thread_variables
from recorder.replay.plan import make_plan
from recorder.replay.request import Request
from recorder.replay.workspace.redirection import Redirection
from recorder.store.store import RunStore

READS = """
import os, sys
from pathlib import Path
from recorder import record

FIXED = Path(__file__).resolve().parent.parent / "data" / "fixed.txt"

@record
def total(path: str = str(FIXED.parent / "sub" / "numbers.txt"), local: Path = Path(__file__).resolve().parent / "local.txt"):
    import numpy as np
    import sqlite3
    database = sqlite3.connect(FIXED.parent / "sub" / "base.sqlite")
    assert database.execute("select x from t").fetchall() == [(5,)]
    whole = np.loadtxt(path).sum() + np.load(FIXED.parent / "sub" / "array.npy").sum()
    with os.fdopen(os.open(path, os.O_RDONLY)) as file:
        whole += len(file.read())
    there = sorted(os.listdir(FIXED.parent / "sub")), Path(path).is_file(), path
    return float(whole), FIXED.read_text(), local.read_text(), there

if __name__ == "__main__":
    total()
"""


@pytest.fixture(scope="module")
def reading(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project with a run that read five files, four of them outside the project."""
    import numpy as np

    place = tmp_path_factory.mktemp("reading")
    (place / "project").mkdir()
    project = Project(place / "project")
    project.write("total.py", READS)
    project.write("local.txt", "local")
    project.write("../data/fixed.txt", "fixed")
    project.write("../data/sub/numbers.txt", "1 2 3")
    np.save(place / "data" / "sub" / "array.npy", np.arange(5))
    with sqlite3.connect(place / "data" / "sub" / "base.sqlite") as database:
        database.execute("create table t(x)")
        database.execute("insert into t values (5)")
    database.close()
    project.python("total.py")
    return project


@pytest.fixture
def moved(reading: Project) -> Iterator[Project]:
    """Return the project to a test that may move or change the data, and restore them afterwards."""
    data = reading.root.parent / "data"
    before = {path: path.read_bytes() for path in data.rglob("*") if path.is_file()}
    yield reading
    for path, content in before.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    reading.write("local.txt", "local")


def planned(project: Project, *args: str, status: int = 0) -> dict:
    """Return the JSON of the plan of run 1."""
    done = project.recorder("replay", "1", "--plan", "--json", *args, status=status)
    found: dict = json.loads(done.stdout)
    return found


def test_where_nothing_differs_the_plan_is_short(reading: Project) -> None:
    """--plan prints one line, the inputs, and that nothing is missing, and runs and records nothing."""
    before = reading.recorder("list", "--json").stdout
    lines = reading.recorder("replay", "1", "--plan").stdout.splitlines()
    assert lines[0].startswith("replaying run 1 (total) from snapshot ")
    assert (
        "; unchanged: Python, packages, machine, inputs; not restored: clock, network" in lines[0]
    )
    assert lines[-1] == "nothing is missing; to replay, leave out --plan"
    assert reading.recorder("list", "--json").stdout == before
    plan = planned(reading)
    assert (plan["blockers"], plan["deviations"], plan["notes"]) == ([], [], [])
    assert {one["kind"] for one in plan["inputs"] if not one["in_root"]} == {"in place"}


def test_inputs_outside_the_project_come_from_the_store(moved: Project) -> None:
    """Inputs that are gone or have changed come from the store, under their recorded paths."""
    data = moved.root.parent / "data"
    (data / "fixed.txt").write_text("changed")
    for file in list((data / "sub").iterdir()):
        file.unlink()
    (data / "sub").rmdir()
    moved.write("local.txt", "changed too")
    done = moved.recorder("replay", "1", "--json")
    verdict = json.loads(done.stdout)
    assert verdict["verdict"] == "reproduced"
    assert {one["kind"] for one in verdict["plan"]["inputs"]} == {"store", "snapshot"}
    said = "note: gone or changed since run 1, so read from the store: the inputs "
    assert said in done.stderr and f"{data}/fixed.txt" in done.stderr
    first, replayed = moved.show(1), moved.show(verdict["replay"])
    assert replayed["inputs"] == first["inputs"] and replayed["config"] == first["config"]
    # The replay of the replay does not need them either.
    assert json.loads(moved.recorder("replay", "last", "--json").stdout)["verdict"] == "reproduced"


def test_live_inputs(moved: Project) -> None:
    """--current-inputs reads a changed input in place, and the replay names it as a cause."""
    data = moved.root.parent / "data"
    (data / "fixed.txt").write_text("changed")
    done = moved.recorder("replay", "1", "--current-inputs", status=1)
    assert f"note: changed since run 1: the input {data}/fixed.txt\n" in done.stderr
    assert "'fixed' -> 'changed'" in done.stdout
    assert f"may be due to: changed input: {data}/fixed.txt\n" in done.stdout


def test_inputs_given_by_the_user(moved: Project, tmp_path: Path) -> None:
    """--input takes a file or folder with the recorded content; --current-inputs accepts any content."""
    data = moved.root.parent / "data"
    (data / "sub").rename(tmp_path / "elsewhere")
    (data / "fixed.txt").rename(tmp_path / "fixed.txt")
    given = [f"{data}/sub={tmp_path}/elsewhere", f"{data}/fixed.txt={tmp_path}/fixed.txt"]
    options = [option for one in given for option in ("--input", one)]
    assert {one["kind"] for one in planned(moved, *options)["inputs"] if not one["in_root"]} == {
        "given"
    }
    assert "reproduced" in moved.recorder("replay", "1", *options).stdout
    one = f"{data}/sub/array.npy={tmp_path}/elsewhere/array.npy"  # and the rest from the store
    assert "reproduced" in moved.recorder("replay", "1", "--input", one).stdout
    (tmp_path / "fixed.txt").write_text("another")
    blocked = moved.recorder("replay", "1", *options, status=3)
    assert "/fixed.txt differs from " in blocked.stderr and "--current-inputs" in blocked.stderr
    assert (
        "'fixed' -> 'another'"
        in moved.recorder("replay", "1", *options, "--current-inputs", status=1).stdout
    )
    unknown = moved.recorder("replay", "1", "--input", "nowhere=there", status=2)
    assert "run 1 did not read nowhere; it read " in unknown.stderr
    assert (
        "no file"
        in moved.recorder("replay", "1", "--input", f"{data}/fixed.txt=there", status=2).stderr
    )


def test_an_input_that_nobody_has(moved: Project, tmp_path: Path) -> None:
    """A missing or changed file of which the store has only a digest blocks the replay, and the message names the cures."""
    script = """
        from recorder import record

        @record(keep_bytes=3)
        def f(path):
            return open(path).read()

        if __name__ == "__main__":
            import sys
            f(sys.argv[1])
        """
    moved.write("large.py", script)
    large = tmp_path / "large.txt"
    large.write_text("a large one")
    moved.python("large.py", str(large))
    assert "reproduced" in moved.recorder("replay", "f").stdout
    large.write_text("a changed one")
    for keep in (True, False):
        if not keep:
            large.unlink()
        done = moved.recorder("replay", "f", status=3)
        assert f"the input {large} is gone or has changed" in done.stderr
        assert f"--input {large}=PATH" in done.stderr and "--current-inputs" in done.stderr
    (tmp_path / "copy").write_text("a large one")
    assert (
        "reproduced" in moved.recorder("replay", "f", "--input", f"{large}={tmp_path}/copy").stdout
    )


def test_an_input_read_from_the_live_tree_by_its_absolute_path(project: Project) -> None:
    """A replay fails where its code reads a changed file of the live tree by an absolute path."""
    project.write("data.txt", "1")
    project.write(
        "f.py",
        f"""
        from recorder import record

        @record
        def f():
            return open({str(project.root / "data.txt")!r}).read()

        if __name__ == "__main__":
            f()
        """,
    )
    project.python("f.py")
    assert "reproduced" in project.recorder("replay", "1").stdout
    project.write("data.txt", "2")
    done = project.recorder("replay", "1", status=3)
    assert (
        "data.txt was read from the live tree, where it has changed since the recording"
        in done.stdout
    )


def with_environment(store: RunStore, record: Record, **changes: object) -> Record:
    """Return the record with changes to its environment; two underscores separate nested keys."""
    assert record.environment is not None
    said = json.loads(store.read(record.environment))
    for key, value in changes.items():
        place, *rest = key.split("__")
        inner = said[place]
        for step in rest[:-1]:
            inner = inner[step]
        if value is None:
            inner.pop(rest[-1])
        else:
            inner[rest[-1]] = value
    digest = store.objects.put_bytes(json.dumps(said).encode())
    return msgspec.structs.replace(record, environment=digest)


def test_deviations(reading: Project) -> None:
    """Differences in Python, packages, and the machine are listed, the most relevant first."""
    store = RunStore(reading.root / ".recorder")
    here = describe_interpreter(sys.executable, cache=store.path / "envs")
    record = store.get(1)
    environment = load_environment(store, record)
    assert find_deviations(store, record, environment, here) == ()
    other = with_environment(
        store,
        record,
        packages__numpy={"version": "1.0"},
        packages__click=None,
        python__version="3.9.1",
        platform__cpu__model="an older one",
        platform__cpu__instructions=["avx1024"],  # no processor has it
        platform__memory_bytes=1,
    )
    found = find_deviations(store, other, load_environment(store, other), here)
    keys = [one.key for one in found]
    assert keys[:2] == ["python.version", "packages.numpy"]
    assert found[1].recorded == "1.0" and found[1].matters
    matter = {one.key for one in found if one.matters}
    assert {"packages.numpy", "python.version", "platform.cpu.model"} <= matter
    assert {"packages.click", "platform.memory_bytes"} <= set(keys) - matter
    lines = list(describe_deviations(found))
    assert lines[0] == f"Python: 3.9.1 -> {sys.version.split()[0]}"
    assert lines[1].startswith("numpy: 1.0 -> ")
    assert any(
        line.startswith("processor's instruction sets:") and "-avx1024" in line for line in lines
    )
    assert lines[-1] == "1 package that the run did not import"


def test_threads_that_the_libraries_had(reading: Project) -> None:
    """A library with another default number of threads gets the recorded number."""
    store = RunStore(reading.root / ".recorder")
    record = store.get(1)
    assert variables_of(store, record) == {} and record.runtime is not None
    said = json.loads(store.read(record.runtime.last))
    said["libraries"] = [{"library": "libopenblas", "api": "openblas", "threads": 99}]
    digest = store.objects.put_bytes(json.dumps(said).encode())
    other = msgspec.structs.replace(
        record, runtime=msgspec.structs.replace(record.runtime, start=digest)
    )
    assert variables_of(store, other) == {"OPENBLAS_NUM_THREADS": "99"}
    line = "  sets the recorded number of threads: OPENBLAS_NUM_THREADS=99"
    assert line in make_plan(store, other).lines()
    fixed = with_environment(store, other, variables__OMP_NUM_THREADS="2")
    assert variables_of(store, fixed) == {}


def variables_of(store: RunStore, record: Record) -> dict[str, str]:
    """Return the variables for the recorded number of threads."""
    return thread_variables(store, record, load_environment(store, record))


PYTHONS = sorted(
    path
    for path in Path.home().glob(".pyenv/versions/*/bin/python")
    if not path.parts[-3].startswith(f"{sys.version_info[0]}.{sys.version_info[1]}.")
)


@pytest.mark.skipif(not PYTHONS, reason="there is no other Python here")
def test_a_pickle_is_not_loaded_by_another_python(project: Project) -> None:
    """A function by value blocks a replay with another minor version of Python, and the pickle is not loaded."""
    project.write(
        "closure.py",
        """
        from recorder import record

        def make(n):
            @record
            def add(x):
                return x + n
            return add

        make(1)(1)
        """,
    )
    project.python("closure.py")
    store = RunStore(project.root / ".recorder")
    plan = make_plan(store, store.get(1), request=Request(interpreter=str(PYTHONS[0])))
    version = ".".join(PYTHONS[0].parts[-3].split(".")[:2])
    assert plan.python.startswith(version)
    this = f"{sys.version_info[0]}.{sys.version_info[1]}"
    named = [one for one in plan.blockers if f"is a pickle of Python {this}" in one]
    assert len(named) == 1 and f"which Python {version} cannot load reliably" in named[0]


def test_an_interpreter_that_is_none(reading: Project) -> None:
    """A path without a Python is an error before anything runs."""
    from recorder.errors import ReplayError

    store = RunStore(reading.root / ".recorder")
    with pytest.raises(ReplayError, match="could not be started as Python"):
        make_plan(store, store.get(1), request=Request(interpreter="/nowhere/python"))


def test_where_a_redirection_leads(tmp_path: Path) -> None:
    """A path at or below a moved file or folder is redirected; a path with the same prefix is not."""
    found = Redirection({"/data/a": "/x/a", "/data/file.txt": "/y"}).find
    assert found("/data/a") == "/x/a" and found("/data/a/b/../c") == "/x/a/c"
    assert found("/data/file.txt") == "/y"
    for path in ("/data/ab", "/data", "/", "relative", "/data/file.txt.gz", ""):
        assert found(path) is path


def test_the_code_as_it_is_now(project: Project) -> None:
    """--current-code runs the current code with the recorded config and inputs in a workspace, and is marked as such."""
    script = """
        from recorder import record, save

        FACTOR = 2

        @record
        def f(x):
            found = int(open("data.txt").read()) * FACTOR * x
            open("out.txt", "w").write(str(found))
            save("out.txt")
            return found

        if __name__ == "__main__":
            f(10)
        """
    project.write("f.py", script)
    project.write("data.txt", "1")
    project.commit()
    project.python("f.py")
    project.write("data.txt", "7")
    (project.root / "out.txt").write_text("the live one")
    project.write("f.py", script.replace("FACTOR = 2", "FACTOR = 1 + 1  # the same"))
    done = json.loads(project.recorder("replay", "1", "--current-code", "--json").stdout)
    assert (done["verdict"], done["live_code"]) == ("reproduced", True)
    assert (project.root / "out.txt").read_text() == "the live one"
    first, second = project.show(1), project.show(2)
    assert second["verdict"]["live_code"] is True
    assert second["code"]["snapshot"] != first["code"]["snapshot"]
    assert "replay   of run 1, with the code as it was then" in project.recorder("show", "2").stdout
    project.write("f.py", script.replace("FACTOR * x", "FACTOR + x"))
    changed = project.recorder("replay", "1", "--current-code", status=1)
    assert "replay of run 1 (f) with the code as it is now is run 3" in changed.stdout
    assert "20 -> 12" in changed.stdout
    assert project.show(3)["function"]["source"] != first["function"]["source"]
    assert "reproduced" in project.recorder("replay", "1").stdout
    assert "reproduced" in project.recorder("replay", "3").stdout  # a run as any other
    (project.root / "f.py").unlink()
    assert (
        "f.py, the experiment's file, does not exist"
        in project.recorder("replay", "1", "--current-code", status=3).stderr
    )


def test_what_the_process_of_a_replay_has(project: Project) -> None:
    """A replay has the recorded working directory, arguments, variables, time zone, locale, umask, and hash seed."""
    project.write(
        "sub/f.py",
        """
        import locale, os, sys, time
        from pathlib import Path
        from recorder import record

        @record
        def f():
            here = Path.cwd()
            open("made", "w").close()
            mode = oct(os.stat("made").st_mode)
            inside = here.name, here.parent.name, Path(sys.argv[0]).resolve().relative_to(here).as_posix(), sys.argv[1:]
            names = ("OMP_NUM_THREADS", "LC_ALL", "TZ", "PYTHONHASHSEED", "PYTHONPATH")
            return mode, inside, hash("x"), time.tzname, locale.getpreferredencoding(), {n: os.environ.get(n) for n in names}

        if __name__ == "__main__":
            os.umask(0o027)
            f()
        """,
    )
    project.commit()
    env = {"TZ": "Asia/Tokyo", "LC_ALL": "C", "OMP_NUM_THREADS": "3", "PYTHONHASHSEED": "17"}
    project.python("f.py", "--flag", "a b", cwd=project.root / "sub", env=env)
    assert project.show(1)["process"]["umask"] == "027"
    other = {
        "TZ": "America/Lima",
        "OMP_NUM_THREADS": "1",
        "PYTHONHASHSEED": "4",
        "PYTHONPATH": "elsewhere",
    }
    done = project.recorder(
        "replay", "1", "--json", env=other, cwd=project.root.parent, status=None
    )
    assert done.returncode == 3  # no store in this folder
    verdict = json.loads(
        project.recorder(
            "--store", "project", "replay", "1", "--json", env=other, cwd=project.root.parent
        ).stdout
    )
    assert verdict["verdict"] == "reproduced", verdict
