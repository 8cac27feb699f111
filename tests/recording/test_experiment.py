"""`@record`: the function behaves as before, and each call leaves a run."""

from __future__ import annotations

import asyncio
import inspect
import json
import multiprocessing
import os
import re
import shutil
import site
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from project import Project

import recorder
from recorder import RecorderWarning, current_run, log, record, save, track_input
from recorder.recording.in_progress import executing
from recorder.store.store import RunStore

LOCK = threading.Lock()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunStore:
    """A store for the test, which experiments write to by default."""
    path = tmp_path / "store"
    monkeypatch.setenv("RECORDER_STORE", str(path))
    return RunStore(path, create=True)


def test_a_recorded_function_keeps_its_attributes() -> None:
    """A recorded function keeps the signature, docstring, name, module and defaults."""

    def plain(a: int, /, b: float = 0.5, *args: str, c: bool = False, **more: Any) -> list[int]:
        """Return a list."""
        return [a]

    for recorded in (record(plain), record(name="x", tags=["t"])(plain)):
        assert inspect.signature(recorded) == inspect.signature(plain)
        assert recorded.__doc__ == "Return a list."
        assert (recorded.__name__, recorded.__module__, recorded.__wrapped__) == (
            "plain",
            __name__,
            plain,
        )  # type: ignore[attr-defined]


TYPED = """
import functools
from collections.abc import AsyncIterator, Callable, Iterator
from recorder import record, start_run

@record
def one(a: int, b: str = '') -> float: return 0.5
@record(name='x', tags=['t'], tolerance={'loss': 1e-3})
async def two(a: int) -> bytes: return b''
@record
def three(n: int) -> Iterator[int]:
    yield n
@record
async def four(n: int) -> AsyncIterator[int]:
    yield n
@one.preset
def small() -> dict[str, int]: return {'a': 2}

class Model:
    @record
    def fit(self, x: float) -> float: return x
    @classmethod
    @record
    def make(cls, rate: float) -> 'Model': return cls()
    @record
    @classmethod
    def again(cls, rate: float) -> 'Model': return cls()
    @staticmethod
    @record
    def double(x: int) -> int: return 2 * x

async def use() -> None:
    reveal_type((one(1), await two(1), list(three(1)), [n async for n in four(1)]))
    reveal_type((one.experiment, one.__name__, one.__wrapped__(1), small()))
    model = Model.make(2.0)
    reveal_type((model, Model.again(1.0), model.fit(1.0), Model.fit(model, 1.0), Model.double(2)))
    reveal_type((record(model.fit)(2.0), record(functools.partial(one, 2))(), record(lambda: 2)()))

def apply(function: Callable[[int], float]) -> None: ...
apply(one)
with start_run('block', config={'a': 1}, keep_bytes=10) as run:
    run.result = run.dir / 'x'
one('wrong')
Model().fit('wrong')
if __name__ == '__main__':
    one.main()
"""
READ = """
from recorder import Store
from tinydb import where

store = Store()
reveal_type([store[12], store["k7c2"], store.last("one"), store.runs()[-3:][0], store.runs(where("config").a > 1)[0]])
reveal_type(store.runs("a > 1 and status == 'finished'")[0].series("loss").values)
with store[1].output("model.npz").open() as file:
    reveal_type(file.read())
reveal_type([entry.key for entry in store.diff(1, store[2]).sections["config"]])
store.replay(1, settings={"a": 2}).verdict == "reproducible"
"""
REVEALED = [
    "tuple[float, bytes, list[int], list[int]]",
    "tuple[str, str, float, dict[str, int]]",
    "tuple[{}Model, {}Model, float, float, int]",
    "tuple[float, float, int]",
]


def check(folder: Path, program: str, *checker: str) -> tuple[list[str], list[str]]:
    """Run a type checker on the program; return the revealed types and the errors."""
    (folder / "typed.py").write_text(program)
    command = [sys.executable, "-m", *checker, "typed.py"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    revealed = re.findall('(?:Revealed type is|Type of ".*" is) "(.*)"', done.stdout)
    return revealed, re.findall("error: (.*)", done.stdout)


def test_mypy_checks_calls_of_a_recorded_function(tmp_path: Path) -> None:
    """mypy --strict knows the arguments, results and attributes of recorded functions and methods of every kind."""
    pytest.importorskip("mypy")
    revealed, errors = check(tmp_path, TYPED, "mypy", "--strict")
    assert revealed == [line.replace("{}", "typed.") for line in REVEALED]
    assert len(errors) == 2, errors
    assert 'Argument 1 to "__call__" of "Recorded" has incompatible type "str"' in errors[0]
    assert 'incompatible type "str"; expected "float"' in errors[1]


def test_pyright_checks_calls_of_a_recorded_function(tmp_path: Path) -> None:
    """pyright sees the same types as mypy, and reports the same two errors."""
    pytest.importorskip("pyright")
    if shutil.which("node") is None:
        pytest.skip("pyright needs node")
    paths = [str(Path(recorder.__file__).parent.parent), *site.getsitepackages(), *sys.path]
    settings = {"extraPaths": paths, "typeCheckingMode": "strict", "include": ["typed.py"]}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    (tmp_path / "typed.py").write_text(TYPED)
    command = [sys.executable, "-m", "pyright", "--project", "pyrightconfig.json", "--outputjson"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    found = json.loads(done.stdout)["generalDiagnostics"]
    messages = [one["message"] for one in found if one["severity"] == "information"]
    assert [re.search('is "(.*)"', one)[1] for one in messages] == [  # type: ignore[index]
        line.replace("{}", "") for line in REVEALED
    ]
    rules = [one["rule"] for one in found if one["severity"] == "error"]
    assert rules == ["reportArgumentType", "reportArgumentType"], found


def test_mypy_knows_what_a_store_returns(tmp_path: Path) -> None:
    """mypy --strict knows the types of a store's runs, series, outputs, differences and verdicts."""
    pytest.importorskip("mypy")
    revealed, errors = check(tmp_path, READ, "mypy", "--strict")
    assert revealed == [
        "list[recorder.api.run.Run]",
        "list[int | float]",
        "bytes",
        "list[str]",
    ]
    assert len(errors) == 1 and "Non-overlapping equality check" in errors[0], errors


def test_only_functions_can_be_recorded() -> None:
    """Decorating a class or a value raises TypeError."""
    for wrong in (int, 3):
        with pytest.raises(TypeError, match="record"):
            record(wrong)  # type: ignore[call-overload]


def test_the_config_has_the_bound_arguments(store: RunStore) -> None:
    """The config has defaults, *args and **kwargs, each under the name of its parameter."""

    @record(name="bound", tags=["a", "b"])
    def f(a: int, b: float = 0.5, *rest: int, c: str = "c", **more: Any) -> int:
        return a

    assert f(1, 2.0, 3, 4, d={"x": 1}) == 1
    (run,) = store.runs()
    assert run.config == {
        "a": 1,
        "b": 2.0,
        "rest": {"$tuple": [3, 4]},
        "c": "c",
        "more": {"d": {"x": 1}},
    }
    assert (run.experiment, run.tags, run.result, run.status) == (
        "bound",
        ("a", "b"),
        1,
        "finished",
    )


def test_the_config_has_the_arguments_before_the_call(store: RunStore) -> None:
    """An argument that the function modifies is recorded with its value at the call."""

    @record
    def f(items: list[int]) -> int:
        items.append(9)
        return len(items)

    assert f([1, 2]) == 3
    assert store.runs()[0].config == {"items": [1, 2]}


def test_the_seed(store: RunStore) -> None:
    """An integer argument (of NumPy too) is the seed; without one or with None a drawn seed is passed; a bool is not a seed."""
    import numpy as np

    @record
    def f(seed: Any = None) -> Any:
        return seed

    @record(seed="state")
    def g(state: Any) -> Any:
        return state

    assert f(5) == 5 and f(np.int64(6)) == 6
    drawn = [f(), f(None), g()]  # type: ignore[call-arg]
    assert f(True) is True
    runs = store.runs()
    assert [run.seed for run in runs[:2]] == [5, 6]
    assert [run.seed for run in runs[2:5]] == drawn and len(set(drawn)) == 3
    assert [run.config["seed"] for run in runs[2:4]] == drawn[:2] and runs[4].config[
        "state"
    ] == drawn[2]
    assert runs[5].seed is not None and runs[5].seed > 1


def test_a_run_within_a_run(store: RunStore) -> None:
    """A recorded call inside another is a separate run with the other as its parent; each has its metrics."""

    @record
    def inner(x: int) -> int:
        log(inner=x)
        return x

    @record
    def outer() -> int:
        log(outer=1)
        assert current_run() is not None
        total = inner(1) + inner(2)
        log(outer=2)
        return total

    assert current_run() is None
    assert outer() == 3
    assert current_run() is None
    top, one, two = store.runs()
    assert one.parent == two.parent == top.id and top.parent is None
    assert (list(top.metrics), list(one.metrics), list(two.metrics)) == (
        ["outer"],
        ["inner"],
        ["inner"],
    )


def test_threads_and_tasks_have_their_own_runs(store: RunStore) -> None:
    """Runs in several threads, and in several tasks of one thread, do not mix their metrics."""

    @record
    def f(n: int) -> int:
        for _ in range(50):
            log(n=n)
        return n

    @record
    async def g(n: int) -> int:
        for _ in range(20):
            await asyncio.sleep(0)
            log(n=n)
        return n

    async def all_at_once() -> None:
        await asyncio.gather(*(g(n) for n in range(4)))

    threads = [threading.Thread(target=f, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    asyncio.run(all_at_once())
    runs = store.runs()
    assert sorted(run.number for run in runs) == list(range(1, 9))
    for run in runs:
        metric = run.metrics["n"]
        assert metric.min == metric.max == run.config["n"] == run.result
        assert metric.count == (50 if run.experiment == "f" else 20)


def test_a_thread_logs_to_the_only_run_in_progress(store: RunStore, tmp_path: Path) -> None:
    """A thread of the only run logs and saves to it; with two runs in progress, between steps, and afterwards it warns."""
    file = tmp_path / "file.txt"
    file.write_text("x")

    def work(n: int) -> None:
        log(n=n)
        save({"n": n}, name=f"value {n}")
        track_input(file)

    def start(n: int) -> None:
        thread = threading.Thread(target=work, args=(n,))
        thread.start()
        thread.join()

    @record
    def alone() -> None:
        start(1)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(work, (2, 3)))

    @record
    def outer() -> None:
        inner()

    @record
    def inner() -> None:
        with pytest.warns(RecorderWarning, match="keeps nothing"):
            start(4)

    @record
    def steps() -> Any:
        start(5)
        yield 1

    alone()
    with pytest.warns(RecorderWarning, match="keeps nothing"):
        start(6)
    outer()
    values = steps()
    next(values)
    with pytest.warns(RecorderWarning, match="keeps nothing"):
        start(7)
    values.close()
    first, second, third, last = store.runs()
    assert first.metrics["n"].count == 3
    assert [output.name for output in first.outputs] == ["value 1", "value 2", "value 3"]
    assert [item.path for item in first.inputs] == [str(file)]
    assert second.metrics == third.metrics == {} and second.outputs == third.outputs == ()
    assert last.metrics["n"].count == 1 and executing == []


def test_a_config_entry_set_in_a_function_is_reported(store: RunStore) -> None:
    """A config entry that a recorded function sets is not recorded, and a warning says what to do."""

    @record
    def f(a: int, b: int = 2) -> None:
        run = current_run()
        assert run is not None
        run.config["steps"], run.config["b"] = 100, 3

    with pytest.warns(RecorderWarning, match=r"not recorded: 'b', 'steps'; make them parameters"):
        f(1)
    (run,) = store.runs()
    assert run.config == {"a": 1, "b": 2} and "make them parameters" in run.warnings[0]


def test_metrics_of_every_kind(store: RunStore) -> None:
    """Nested names, booleans, NaN, infinities and scalars of NumPy are logged; steps are given or counted."""
    import numpy as np

    @record
    def f() -> None:
        log({"train": {"loss": 0.5}}, step=10, ok=True)
        log(np_scalar=np.float32(0.25), zero_d=np.array(3), inf=float("inf"), nan=float("nan"))
        log(count=1)
        log(count=2)

    f()
    (run,) = store.runs()
    assert set(run.metrics) == {"train.loss", "ok", "np_scalar", "zero_d", "inf", "nan", "count"}
    assert (run.metrics["train.loss"].last_step, run.metrics["count"].last_step) == (10, 1)
    assert run.metrics["inf"].last == {"$float": "inf"} and run.metrics["ok"].last == 1
    assert run.series is not None and "np_scalar,0," in (run.series.text or "")


def test_outputs_of_every_kind(
    store: RunStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files, folders, values, and files in the run's folder are kept; a later output replaces an earlier one."""
    monkeypatch.chdir(tmp_path)

    @record
    def f() -> None:
        Path("a.txt").write_text("first")
        save("a.txt")
        Path("a.txt").write_text("second")
        save("a.txt")
        (tmp_path / "plots" / "deep").mkdir(parents=True)
        (tmp_path / "plots" / "deep" / "p.svg").write_text("<svg/>")
        save(tmp_path / "plots")
        save("a.txt", name="renamed")
        save({"x": 1}, name="value")
        run = current_run()
        assert run is not None
        (run.dir / "own.txt").write_text("own")

    f()
    (run,) = store.runs()
    kinds = {output.name: output.kind for output in run.outputs}
    assert kinds == {
        "a.txt": "file",
        "plots": "folder",
        "renamed": "file",
        "value": "value",
        "own.txt": "file",
    }
    digests = {output.name: output.digest for output in run.outputs}
    assert store.read(digests["a.txt"]) == b"second"
    assert [e.path for e in store.objects.read_tree(digests["plots"]).entries] == ["deep/p.svg"]


def test_leaving_by_sys_exit(store: RunStore) -> None:
    """sys.exit() ends a run as finished, sys.exit(3) as failed, and the program as it would."""

    @record
    def f(code: Any) -> None:
        sys.exit(code)

    for code in (None, 0, 3):
        with pytest.raises(SystemExit) as caught:
            f(code)
        assert caught.value.code == code
    assert [run.status for run in store.runs()] == ["finished", "finished", "failed"]


def test_the_console_is_recorded(project: Project) -> None:
    """Output of Python, C and a child process is kept and still shown, with stdout and stderr separate."""
    project.write(
        "loud.py",
        """
        import os, subprocess, sys
        from recorder import record

        @record
        def f():
            print("from python")
            sys.stdout.flush()
            os.write(1, b"from C\\n")
            subprocess.run(["echo", "from a child"])
            print("an error", file=sys.stderr)

        f()
        print("after")
        """,
    )
    done = project.python("loud.py")
    assert done.stdout == "from python\nfrom C\nfrom a child\nafter\n"
    assert done.stderr == "an error\n"
    found = project.show(1)
    assert found["stdout"]["text"] == "from python\nfrom C\nfrom a child\n"
    assert found["stderr"]["text"] == "an error\n"


def test_where_the_store_is(project: Project, tmp_path: Path) -> None:
    """The store is at the repository's root, else next to the file; RECORDER_STORE and store= override that."""
    text = "from recorder import record\n\n@record{}\ndef f(): return 1\n\nf()\n"
    project.write("pkg/exp.py", text.format(""))
    project.python("pkg/exp.py")
    assert (project.root / "pkg" / ".recorder" / "FORMAT").is_file()
    project.git("init", "-q")
    project.python("pkg/exp.py")
    assert (project.root / ".recorder" / "FORMAT").is_file()
    project.python("pkg/exp.py", env={"RECORDER_STORE": str(tmp_path / "named")})
    project.write("own.py", text.format(f"(store={str(tmp_path / 'own')!r})"))
    project.python("own.py", env={"RECORDER_STORE": str(tmp_path / "named")})
    for store in ("named", "own"):
        assert len(RunStore(tmp_path / store)) == 1
    (project.root / "deep" / "er").mkdir(parents=True)
    assert (
        len(json.loads(project.recorder("list", "--json", cwd=project.root / "deep" / "er").stdout))
        == 1
    )
    assert (
        len(json.loads(project.recorder("--store", str(tmp_path / "own"), "list", "--json").stdout))
        == 1
    )
    assert project.git("status", "--porcelain", "--ignored=no").count(".recorder") == 0


def _record_many(path: str, name: int) -> None:
    os.environ["RECORDER_STORE"] = path

    @record(name=f"p{name}")
    def f(i: int) -> int:
        log(i=i)
        return i

    for i in range(15):
        f(i)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_many_processes_make_the_store_and_record_at_once(tmp_path: Path, method: str) -> None:
    """Four processes that record at once into a new store lose no run."""
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} here")
    context = multiprocessing.get_context(method)
    path = str(tmp_path / "store")
    processes = [context.Process(target=_record_many, args=(path, n)) for n in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    runs = RunStore(path).runs()
    assert [run.number for run in runs] == list(range(1, 61))
    assert {run.status for run in runs} == {"finished"}
    for n in range(4):
        assert [run.result for run in runs if run.experiment == f"p{n}"] == list(range(15))
    assert list((tmp_path / "store" / "live").iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_in_the_middle_of_a_run(project: Project) -> None:
    """A child forked inside a run neither finishes its parent's run nor damages it when it exits."""
    project.write(
        "forks.py",
        """
        import os, sys
        from recorder import record, log

        @record
        def f():
            pid = os.fork()
            if pid == 0:
                print("child", flush=True)
                sys.exit(0)
            os.waitpid(pid, 0)
            log(x=1)
            return "parent"

        print(f())
        """,
    )
    done = project.python("forks.py")
    assert done.stdout == "child\nparent\n"
    (found,) = json.loads(project.recorder("list", "--json").stdout)
    assert (found["status"], found["result"], list(found["metrics"])) == (
        "finished",
        "parent",
        ["x"],
    )


def test_strict_refuses_before_the_function_starts(store: RunStore) -> None:
    """With strict=True an argument that cannot be captured is an error; the function is not called, and no run is left."""
    ran = []

    @record(strict=True)
    def f(lock: Any) -> None:
        ran.append(1)

    with pytest.raises(Exception, match="argument 'lock' of f is opaque"):
        f(threading.Lock())
    assert not ran and len(store) == 0


def test_an_opaque_result_is_reported(store: RunStore) -> None:
    """A result that cannot be encoded is returned unchanged, with a warning at the user's line."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert give_lock() is LOCK
    assert [w.category for w in said] == [RecorderWarning] and "the result is opaque" in str(
        said[0].message
    )
    assert said[0].filename == __file__
    assert store.runs()[0].warnings == (str(said[0].message),)


def test_a_method_is_recorded(store: RunStore) -> None:
    """The config of a method includes self."""
    assert Counter(5).count(2) == 7
    (run,) = store.runs()
    assert run.experiment == "Counter.count"
    assert run.config["by"] == 2 and "$instance" in run.config["self"]


@record
def give_lock() -> Any:
    """Return a value that cannot be encoded."""
    return LOCK


class Counter:
    """A class with state."""

    def __init__(self, start: int) -> None:
        self.start = start

    @record
    def count(self, by: int) -> int:
        """Return the sum."""
        return self.start + by
