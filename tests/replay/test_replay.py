"""Tests of replays: every way to define an experiment, and isolation from the live tree."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from project import Project

from recorder.replay.replay import replay
from recorder.replay.request import Request
from recorder.store.store import RunStore


def replayed(project: Project, run: str = "1", status: int = 0) -> dict:
    """Replay a run and return the JSON."""
    found: dict = json.loads(project.recorder("replay", run, "--json", status=status).stdout)
    return found


def test_a_script_without_main_guard(project: Project) -> None:
    """A script that calls its experiment at the top level replays one call, with the globals of that time."""
    project.write(
        "script.py",
        """
        from recorder import record

        factor = 1

        @record
        def scale(x):
            return x * factor

        factor = 10
        print(scale(2))
        factor = 100
        print(scale(3))
        open("ran-to-the-end", "w").close()
        """,
    )
    assert project.python("script.py").stdout == "20\n300\n"
    assert replayed(project, "1")["verdict"] == "reproduced"
    record = project.show(3)
    assert (record["result"], record["replay_of"]) == (20, project.show(1)["id"])


def test_a_main_guard_does_not_run_again(project: Project) -> None:
    """A replay repeats only the recorded call in the main guard."""
    project.write(
        "guarded.py",
        """
        import os
        from recorder import record

        @record
        def first():
            with open(os.environ["COUNT"], "a") as file:
                file.write("x")
            return 1

        @record
        def second(x):
            return x + 1

        if __name__ == "__main__":
            second(first())
        """,
    )
    count = project.root.parent / "count"
    env = {"COUNT": str(count)}
    project.python("guarded.py", env=env)
    assert "reproduced" in project.recorder("replay", "second", env=env).stdout
    assert count.read_text() == "x"


def test_names_that_only_the_guard_sets(project: Project) -> None:
    """A function that uses a global from the main guard replays, since the guard runs up to the call."""
    project.write(
        "guarded.py",
        """
        import sys
        from recorder import record

        @record
        def double():
            return helper()

        def helper():
            return 2 * settings

        if __name__ == "__main__":
            settings = int(sys.argv[1])
            double()
            open("after", "w").close()
        """,
    )
    project.python("guarded.py", "21")
    (project.root / "after").unlink()
    assert replayed(project)["verdict"] == "reproduced"
    assert project.show(2)["result"] == 42


def test_a_package_with_relative_imports(project: Project) -> None:
    """An experiment in a package below src/ replays from the snapshot, imported from anywhere."""
    project.write("src/pkg/__init__.py", "")
    project.write("src/pkg/constants.py", "RATE = 3\n")
    project.write("src/pkg/models/__init__.py", "")
    project.write(
        "src/pkg/models/train.py",
        """
        from recorder import record
        from ..constants import RATE

        @record
        def train(x: int = 2):
            return x * RATE
        """,
    )
    project.commit()
    project.python("-c", "from pkg.models.train import train; train()", env={"PYTHONPATH": "src"})
    project.python("-m", "pkg.models.train", env={"PYTHONPATH": "src"})
    project.write("src/pkg/constants.py", "RATE = 4\n")
    found = replayed(project, "train")
    assert found["verdict"] == "reproduced"
    assert project.show(2)["result"] == 6


def test_a_package_run_as_a_module(project: Project) -> None:
    """`python -m pkg.main` with relative imports and a guard replays."""
    project.write("pkg/__init__.py", "")
    project.write("pkg/constants.py", "RATE = 3\n")
    project.write(
        "pkg/main.py",
        """
        from recorder import record
        from .constants import RATE

        @record
        def train(x: int = 2):
            return x * RATE

        if __name__ == "__main__":
            train()
        """,
    )
    project.python("-m", "pkg.main")
    assert replayed(project)["verdict"] == "reproduced"


def test_an_editable_install_is_not_imported(project: Project, tmp_path: Path) -> None:
    """An editable install replays from the snapshot, with a .pth file and with a finder."""
    project.write(
        "src/lib/__init__.py",
        """
        from recorder import record

        @record
        def answer():
            return 42
        """,
    )
    project.write("run.py", "import lib\n\nlib.answer()\n")
    project.commit()
    site = tmp_path / "site"
    site.mkdir()
    (site / "lib.pth").write_text(f"{project.root / 'src'}\n")
    start = f"import site; site.addsitedir({str(site)!r})"
    (site / "sitecustomize.py").write_text(start)
    env = {"PYTHONPATH": str(site)}
    project.python("run.py", env=env)
    project.write("src/lib/__init__.py", "raise RuntimeError('the live tree was imported')\n")
    done = project.recorder("replay", "1", "--json", env=env)
    assert json.loads(done.stdout)["verdict"] == "reproduced"
    finder = """
        import sys
        from importlib.machinery import PathFinder
        MAPPING = {"lib": "ROOT/src/lib"}

        class EditableFinder:
            @classmethod
            def find_spec(cls, name, path=None, target=None):
                if name in MAPPING:
                    return PathFinder.find_spec(name, [MAPPING[name].rpartition("/")[0]])

        sys.meta_path.insert(0, EditableFinder)
        """
    import textwrap

    (site / "lib.pth").unlink()
    (site / "__editable___lib_finder.py").write_text(
        textwrap.dedent(finder).replace("ROOT", str(project.root))
    )
    (site / "sitecustomize.py").write_text("import __editable___lib_finder\n")
    done = project.recorder("replay", "1", "--json", env=env)
    assert json.loads(done.stdout)["verdict"] == "reproduced"


def test_an_import_from_the_live_tree_fails_the_replay(project: Project) -> None:
    """A module that is loaded from the live tree by its path fails the replay, and the reason names it."""
    project.write("late.py", "VALUE = 1\n")
    project.write(
        "run.py",
        f"""
        import importlib.util
        from recorder import record

        @record
        def f():
            spec = importlib.util.spec_from_file_location("late", {str(project.root / "late.py")!r})
            module = importlib.util.module_from_spec(spec)
            import sys
            sys.modules["late"] = module
            spec.loader.exec_module(module)
            return module.VALUE

        f()
        """,
    )
    project.python("run.py")
    found = replayed(project, status=3)
    assert found["verdict"] == "failed"
    assert str(project.root / "late.py") in found["reason"]


def test_a_function_of_the_repl(project: Project) -> None:
    """A function typed into an interpreter is kept by value with its globals, and replays."""
    session = """
from recorder import record
offset = 5
def shift(x):
    return x + offset

@record
def f(x=1):
    return [shift(x), "%s" % x]

f(3)
offset = 6
"""
    done = project.python("-i", input=session)
    assert "[8, '3']" in done.stdout
    assert project.show(1)["function"].get("file") is None
    assert (project.root / ".recorder").is_dir()
    assert replayed(project)["verdict"] == "reproduced"
    assert project.show(2)["result"] == [8, "3"]


def test_a_function_of_a_notebook(project: Project) -> None:
    """A notebook's function is kept by value with the notebook's classes, prints to its cell, and replays."""
    project.write(
        "run_notebook.py",
        """
        import nbformat
        from nbclient import NotebookClient

        notebook = nbformat.v4.new_notebook()
        notebook.cells = [
            nbformat.v4.new_code_cell(text)
            for text in (
                "import random, dataclasses, enum\\nimport numpy as np\\nfrom recorder import record, log\\nscale = 3",
                "@dataclasses.dataclass\\nclass Opt:\\n    rate: float = 0.5\\nclass Other(Opt):\\n    pass\\nclass Mode(str, enum.Enum):\\n    fast = 1",
                "def helper(x):\\n    return x * scale",
                "@record\\ndef f(n=2, opts=(), seed=None):\\n    print('printed in a cell')\\n    log(x=random.random())\\n"
                "    return helper(n), random.random(), Opt(np.random.default_rng().normal() * opts[0].rate)",
                "result = f(5, [Other(0.25), {Mode.fast: 1}])",
            )
        ]
        NotebookClient(notebook, timeout=120).execute()
        print(notebook.cells[4].outputs[0]["text"])
        """,
    )
    assert project.python("run_notebook.py").stdout == "printed in a cell\n\n"
    record = project.show(1)
    assert record["stdout"]["text"] == "printed in a cell\n"
    assert record["function"]["pickled"] and record["seed_info"]["origin"] == "drawn"
    assert replayed(project)["verdict"] == "reproduced"


def test_a_closure_and_a_lambda(project: Project) -> None:
    """A nested function replays with its closure, and so does a lambda."""
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
        make(10)(1)
        record(lambda x: x * 2)(4)
        """,
    )
    project.python("closure.py")
    for run, result in (("1", 2), ("2", 11), ("3", 8)):
        assert replayed(project, run)["verdict"] == "reproduced"
        assert project.show("last-replay")["result"] == result


def test_an_async_experiment(project: Project) -> None:
    """A coroutine function is recorded when awaited, and replays."""
    project.write(
        "later.py",
        """
        import asyncio
        from recorder import record, log

        async def part(n):
            await asyncio.sleep(0.01)
            log(part=n)
            return n

        @record
        async def gather(n: int = 3):
            return sum(await asyncio.gather(*(part(i) for i in range(n))))

        if __name__ == "__main__":
            assert asyncio.run(gather()) == 3
        """,
    )
    project.python("later.py")
    assert project.show(1)["metrics"]["part"]["count"] == 3
    assert replayed(project)["verdict"] == "reproduced"


def test_values_that_json_cannot_say(project: Project) -> None:
    """A replay receives config values of types that the script defines."""
    project.write(
        "typed.py",
        """
        import enum
        from dataclasses import dataclass
        from pathlib import Path
        from recorder import record

        class Mode(enum.Enum):
            FAST = 1

        @dataclass(frozen=True)
        class Optim:
            lr: float
            betas: tuple = (0.9, 0.99)

        @record
        def f(optim, mode, path, *rest, inf=float("inf"), **more):
            assert isinstance(optim, Optim) and mode is Mode.FAST and isinstance(path, Path)
            assert isinstance(rest, tuple) and rest == (1, (2, 3), {4})
            return [optim, mode, path, rest, inf, more]

        if __name__ == "__main__":
            f(Optim(0.1), Mode.FAST, Path("a/b"), 1, (2, 3), {4}, z=b"bytes", y=10**30)
        """,
    )
    project.python("typed.py")
    assert replayed(project)["verdict"] == "reproduced"


def test_the_seed_is_planted_again(project: Project) -> None:
    """A run without a seed draws one, and its replay has the same random numbers."""
    project.write(
        "random_walk.py",
        """
        import random
        from recorder import record

        @record
        def walk(n: int = 5):
            import numpy
            return [random.random() for _ in range(n)] + numpy.random.rand(3).tolist()

        @record
        def seeded(seed=None):
            return seed

        if __name__ == "__main__":
            state = random.getstate()
            assert walk() != walk()
            assert random.getstate() == state
            assert isinstance(seeded(), int)
        """,
    )
    project.python("random_walk.py")
    assert project.show(1)["seed_info"]["value"] != project.show(2)["seed_info"]["value"]
    assert replayed(project, "1")["verdict"] == "reproduced"
    assert replayed(project, "seeded")["verdict"] == "reproduced"


def test_the_working_directory_and_the_data(project: Project) -> None:
    """A run in a subfolder that reads a git-ignored file replays with the same folder and file."""
    project.write(".gitignore", "data/\n")
    project.write("data/points.txt", "1 2 3")
    project.write("work/keep", "")
    project.write(
        "sum.py",
        """
        from recorder import record

        @record
        def total(path: str = "../data/points.txt"):
            with open(path) as file:
                return sum(map(int, file.read().split()))

        if __name__ == "__main__":
            total()
        """,
    )
    project.commit()
    project.python("../sum.py", cwd=project.root / "work")
    record = project.show(1)
    assert record["process"]["cwd_in_root"] == "work"
    assert [item["path"] for item in record["inputs"]] == ["data/points.txt"]
    (project.root / "data" / "points.txt").write_text("9 9 9")
    assert replayed(project)["verdict"] == "reproduced"


def test_an_output_of_before_does_not_pass_for_a_new_one(project: Project) -> None:
    """An output of the recorded run does not exist when the replay starts."""
    project.write(
        "lazy.py",
        """
        import os
        from recorder import record, save

        @record
        def f():
            if not os.path.exists("out.txt"):
                with open("out.txt", "w") as file:
                    file.write("made")
                made = True
            else:
                made = False
            save("out.txt")
            return made

        if __name__ == "__main__":
            f()
        """,
    )
    project.python("lazy.py")
    assert replayed(project)["verdict"] == "reproduced"
    project.python("lazy.py")  # finds the file of the first run
    assert project.show("last")["result"] is False


def test_a_function_that_is_gone_from_the_snapshot(project: Project) -> None:
    """A function that the snapshot does not define is a one-line error."""
    project.write(
        "made.py",
        """
        from recorder import record

        def f():
            return 1

        f.__qualname__ = "g"
        g = record(f)
        g()
        del g, f
        """,
    )
    project.python("made.py")
    done = project.recorder("replay", "1", status=None)
    assert done.returncode in (0, 3)
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is another thing there")
def test_ctrl_c_during_a_run_and_a_replay(project: Project) -> None:
    """Ctrl-C is recorded as interrupted, in a run and in a replay, with the logged metrics, and leaves no workspace."""
    project.write(
        "slow.py",
        """
        import os, time
        from recorder import record, log

        @record
        def slow(n: int = 600):
            for i in range(n):
                log(step=i, tick=i)
                print("tick", i, flush=True)
                time.sleep(0.05)
            return n

        if __name__ == "__main__":
            slow()
        """,
    )
    for number, command in enumerate((["slow.py"], ["-m", "recorder", "replay", "1"]), start=1):
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=project.root,
            env=project.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stdout:
            if line.startswith("tick 3"):
                break
        import os

        os.killpg(process.pid, signal.SIGINT)
        process.stdout.read()
        process.wait(timeout=30)
        record = project.show(number)
        assert record["status"] == "interrupted"
        assert record["metrics"]["tick"]["count"] >= 4
        if command[0] == "-m":
            assert process.returncode == 130
            assert record["replay_of"] == project.show(1)["id"]
    left = [path.name for path in (project.root / ".recorder" / "workspaces").iterdir()]
    assert left == [project.show(1)["code"]["snapshot"]]  # the cached snapshot
    assert list((project.root / ".recorder" / "live").iterdir()) == []


def test_a_killed_run_is_lost(project: Project) -> None:
    """A run whose process was killed is listed as lost, and its folder keeps the output."""
    project.write(
        "killed.py",
        """
        import os, signal, time
        from recorder import current_run, log, record

        @record
        def f():
            log(x=1)
            print("here", flush=True)
            live = current_run().dir.parent
            until = time.monotonic() + 60
            while time.monotonic() < until:
                if (live / "stdout").read_text() and "x,0," in (live / "series.csv").read_text():
                    break
                time.sleep(0.01)
            log(x=2)
            os.kill(os.getpid(), signal.SIGKILL)

        f()
        """,
    )
    project.python("killed.py", status=-signal.SIGKILL)
    record = project.show(1)
    assert record["status"] == "lost"
    live = project.root / ".recorder" / "live" / record["id"]
    assert (live / "stdout").read_text() == "here\n"
    assert "x,0," in (live / "series.csv").read_text()

    assert "lost" in project.recorder("list").stdout


def test_from_python_with_other_variables(
    project: Project, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A replay from Python prints nothing, works in any directory, and sets the requested variables."""
    project.write(
        "order.py",
        """
        import os
        from recorder import record

        @record
        def names():
            return os.environ.get("OMP_NUM_THREADS"), os.environ.get("TZ"), hash("x")

        if __name__ == "__main__":
            names()
        """,
    )
    env = {"PYTHONHASHSEED": "3", "OMP_NUM_THREADS": "2", "TZ": "UTC"}
    project.python("order.py", env=env)
    monkeypatch.chdir("/")
    store = RunStore(project.root / ".recorder")
    assert replay(store, store.get(1)).exit_status == 0
    other = Request(variables={"PYTHONHASHSEED": "4", "OMP_NUM_THREADS": None})
    done = replay(store, store.get(1), request=other)
    result = project.show(done.record.number)["result"]["$tuple"]
    assert result[:2] == [None, "UTC"]
    assert result[2] != project.show(1)["result"]["$tuple"][2]
    assert capfd.readouterr() == ("", "")
