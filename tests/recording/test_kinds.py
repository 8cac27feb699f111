"""Kinds of functions: each is recorded, returns its values unchanged, and can be replayed."""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
import random
from pathlib import Path
from typing import Any

import pytest
from project import Project

from recorder import current_run, log, record, start_run
from recorder.store.store import RunStore


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store's folder."""
    return tmp_path / "store"


class Model:
    """A class with recorded methods of each kind."""

    def __init__(self, rate: float) -> None:
        self.rate = rate

    @record
    def fit(self, x: float) -> float:
        """Scale."""
        return self.rate * x

    @record
    @classmethod
    def make(cls, rate: float) -> Model:
        return cls(rate)

    @classmethod
    @record
    def other(cls, rate: float) -> str:
        return f"{cls.__name__} {rate}"

    @staticmethod
    @record
    def double(x: int) -> int:
        return 2 * x


def test_kinds_keep_their_kind(store: Path) -> None:
    """`inspect` returns the same for a function and for the recorded one."""

    def plain(a: int, /, b: int = 2, *args: int, c: int, **kwargs: int) -> None: ...
    async def coroutine(a: int) -> None: ...
    def generator(a: int) -> Any:
        yield a

    async def asynchronous(a: int) -> Any:
        yield a

    for function in (plain, coroutine, generator, asynchronous):
        recorded = record(store=store)(function)
        assert inspect.signature(recorded) == inspect.signature(function)
        for ask in (
            inspect.iscoroutinefunction,
            inspect.isgeneratorfunction,
            inspect.isasyncgenfunction,
        ):
            assert ask(recorded) == ask(function)


def test_methods(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Methods of each kind are recorded with their parameters, and an instance with its attributes."""
    monkeypatch.setenv("RECORDER_STORE", str(store))
    model = Model(3.0)
    assert (model.fit(2.0), Model.double(4), Model.other(1.5)) == (6.0, 8, "Model 1.5")
    assert isinstance(Model.make(0.5), Model)
    assert record(model.fit)(1.0) == 3.0
    runs = list(RunStore(store).runs())
    assert [run.experiment for run in runs][:2] == ["Model.fit", "Model.double"]
    state = {"type": f"{__name__}:Model", "fields": {"rate": 3.0}}
    assert runs[0].config == {"self": {"$instance": state}, "x": 2.0}
    assert runs[2].config == {"cls": {"$name": f"{__name__}:Model"}, "rate": 1.5}
    assert runs[4].config == {"self": {"$instance": state}, "x": 1.0}
    assert not any(run.warnings for run in runs)


def test_partial_lambda_and_variadic(store: Path) -> None:
    """A partial is recorded as its function with all arguments by name; *args and **kwargs stay grouped."""

    def add(a: int, /, *rest: int, scale: int = 1, **more: int) -> int:
        return scale * (a + sum(rest) + sum(more.values()))

    partial = record(store=store)(functools.partial(add, 1, scale=10))
    assert inspect.signature(partial) == inspect.signature(functools.partial(add, 1, scale=10))
    assert partial(2, 3, z=4) == 100
    assert record(store=store)(lambda x: x + 1)(1) == 2
    first, second = RunStore(store).runs()
    assert first.config == {"a": 1, "rest": {"$tuple": [2, 3]}, "scale": 10, "more": {"z": 4}}
    assert (second.experiment, second.config) == ("lambda", {"x": 1})


def test_a_generator_is_recorded_until_it_is_exhausted(store: Path) -> None:
    """Yielded, sent and returned values pass through unchanged; the run is current only inside the body."""
    inside = []

    @record(store=store)
    def count(n: int) -> Any:
        total = 0
        for i in range(n):
            inside.append(current_run())
            log(i=i)
            total += (yield i) or 0
        return total

    generator = count(3)
    assert [next(generator), generator.send(5), current_run(), generator.send(6)] == [0, 1, None, 2]
    with pytest.raises(StopIteration) as stop:
        generator.send(7)
    assert stop.value.value == 18
    (run,) = RunStore(store).runs()
    assert all(one is not None and one.id == run.id for one in inside)
    assert (run.status, run.result["yielded"], run.result["returned"]) == ("finished", 3, 18)
    assert run.metrics["i"].count == 3


def test_a_generator_that_is_closed_raises_or_is_dropped(store: Path) -> None:
    """A generator closed or dropped early is finished, with a note; an exception, raised or thrown in, fails its run."""

    @record(store=store)
    def count() -> Any:
        yield 1
        yield 2
        raise ValueError("three")

    closed = count()
    next(closed)
    closed.close()
    dropped = count()
    next(dropped)
    del dropped
    with pytest.raises(ValueError, match="three"):
        list(count())
    thrown = count()
    next(thrown)
    with pytest.raises(KeyError):
        thrown.throw(KeyError("in"))
    count()  # never begun
    runs = list(RunStore(store).runs())
    assert [run.status for run in runs] == ["finished", "finished", "failed", "failed"]
    assert "closed" in runs[0].note and "closed" in runs[1].note
    assert runs[0].result == {**runs[1].result}
    assert current_run() is None


def test_the_seed_of_a_generator_is_not_its_callers(project: Project) -> None:
    """Random numbers that the caller draws between two values do not affect those of the generator."""
    project.write(
        "program.py",
        """
        import random
        from recorder import record

        @record
        def draw(n: int, seed: int):
            for _ in range(n):
                yield random.random()

        alone = list(draw(3, 1))
        mixed = [(value, random.random()) for value in draw(3, 1)]
        assert [own for own, _ in mixed] == alone
        assert len({*alone, *(theirs for _, theirs in mixed)}) == 6
        """,
    )
    project.python("program.py")
    assert project.show(1)["result"] == project.show(2)["result"]


def test_an_async_generator(store: Path) -> None:
    """An async generator is recorded until it is exhausted, closed or failed; its run is current only inside its body."""

    @record(store=store)
    async def count(n: int) -> Any:
        for i in range(n):
            await asyncio.sleep(0)
            assert current_run() is not None
            got = yield i
            if got == "fail":
                raise ValueError("told to")

    async def use() -> list[int]:
        values = []
        async for value in count(3):
            assert current_run() is None
            values.append(value)
        early = count(3)
        await early.__anext__()
        await early.aclose()
        failing = count(3)
        await failing.__anext__()
        with pytest.raises(ValueError, match="told to"):
            await failing.asend("fail")
        return values

    assert asyncio.run(use()) == [0, 1, 2]
    runs = list(RunStore(store).runs())
    assert [run.status for run in runs] == ["finished", "finished", "failed"]
    assert [runs[0].result["yielded"], runs[1].result["yielded"]] == [3, 1]


KINDS = """
    import asyncio, functools, random
    from recorder import record

    class Base:
        def scale(self, x):
            return x * self.rate

    class Model(Base):
        def __init__(self, rate):
            self.rate = rate

        @record
        def fit(self, x):
            self.rate += 1
            return super().scale(x)

        @record
        @classmethod
        def make(cls, rate):
            return cls.__name__ + str(rate)

    @record
    def numbers(n):
        for i in range(n):
            yield random.random()
        return n

    @record
    async def stream(n):
        for i in range(n):
            await asyncio.sleep(0)
            yield i

    @record
    def add(a, /, *rest, b=1, **more):
        return a + sum(rest) + b + sum(more.values())

    async def take():
        async for value in stream(3):
            pass

    if __name__ == "__main__":
        Model(2.0).fit(3)
        Model.make(2)
        list(numbers(5))
        generator = numbers(5)
        next(generator)
        generator.close()
        asyncio.run(take())
        add(1, 2, 3, b=4, c=5)
        record(functools.partial(add.__wrapped__, 1, b=7))(2)
"""


def test_each_kind_replays(project: Project) -> None:
    """Replays reproduce methods, generators (closed ones up to where they were closed) and other kinds from a script."""
    project.write("kinds.py", KINDS)
    project.python("kinds.py")
    for run in range(1, 8):
        done = project.recorder("replay", str(run), status=None)
        assert done.stdout.endswith("reproduced\n"), (run, done.stdout, done.stderr)
    assert project.show(11)["result"]["yielded"] == 1


def test_a_closed_generator_replays_whatever_its_note(project: Project) -> None:
    """The replay of an endless generator that was closed ends after as many values, also if the note was changed."""
    project.write(
        "endless.py",
        """
        import asyncio
        from recorder import record

        @record
        def count():
            n = 0
            while True:
                yield n
                n += 1

        @record
        async def count_async():
            n = 0
            while True:
                yield n
                n += 1

        @record
        def looks_closed():
            return {"closed": True, "yielded": 0}

        async def take():
            values = count_async()
            await values.__anext__()
            await values.aclose()

        if __name__ == "__main__":
            values = count()
            next(values), next(values), next(values)
            values.close()
            asyncio.run(take())
            looks_closed()
        """,
    )
    project.python("endless.py")
    assert project.show(1)["result"]["closed"] and "closed" in project.show(1)["note"]
    for number, yielded in ((1, 3), (2, 1)):
        project.recorder("note", str(number), "the baseline")
        done = project.recorder("replay", str(number))
        assert done.stdout.endswith("reproduced\n")
        assert project.show(f"{number + 3}")["result"]["yielded"] == yielded
    assert project.recorder("replay", "3").stdout.endswith("reproduced\n")


def test_decorators_of_other_files(project: Project) -> None:
    """A function replays with `@record` above or below decorators of another file and of the standard library."""
    project.write(
        "util.py",
        """
        import functools

        def double(function):
            @functools.wraps(function)
            def wrapper(*args, **kwargs):
                return 2 * function(*args, **kwargs)
            return wrapper
        """,
    )
    project.write(
        "script.py",
        """
        import contextlib
        from recorder import record
        from util import double

        class Quiet(contextlib.ContextDecorator):
            def __enter__(self): return self
            def __exit__(self, *error): return None

        @record
        @double
        def above(x): return x + 1

        @double
        @record
        def below(x): return x + 1

        @record
        @Quiet()
        def context(x): return x + 1

        @record
        @double
        @Quiet()
        @double
        def several(x): return x + 1

        class Model:
            @record
            @double
            def fit(self, x): return x + 1

        if __name__ == "__main__":
            print(above(1), below(1), context(1), several(1), Model().fit(1))
        """,
    )
    assert project.python("script.py").stdout == "4 4 2 8 4\n"
    for number in range(1, 6):
        record = project.show(number)
        assert record["function"]["file"] == "script.py"
        assert project.recorder("replay", str(number)).stdout.endswith("reproduced\n")


def test_a_block_of_code(store: Path) -> None:
    """start_run records the config, later additions, metrics, the result and nested runs; its run is current only inside."""

    @record(store=store)
    def inner(x: int) -> int:
        return x

    with start_run("sweep", config={"lr": 0.1, "seed": 3}, seed=3, store=store, tags=["t"]) as run:
        assert current_run() is run
        log(loss=0.5)
        inner(4)
        first = random.random()
        run.config["steps"] = 100
        run.result = {"loss": 0.5}
    assert current_run() is None
    outer, nested = RunStore(store).runs()
    assert (outer.experiment, outer.status, outer.result) == ("sweep", "finished", {"loss": 0.5})
    assert outer.config == {"lr": 0.1, "seed": 3, "steps": 100}
    assert (outer.seed, outer.tags, outer.metrics["loss"].last) == (3, ("t",), 0.5)
    assert nested.parent == outer.id
    with start_run("again", seed=3, store=store):
        assert random.random() == first


def test_a_block_that_raises(store: Path) -> None:
    """An exception in a block is raised, and the run has failed."""
    with pytest.raises(ValueError, match="no"), start_run("block", store=store):
        raise ValueError("no")
    (run,) = RunStore(store).runs()
    assert run.failure is not None
    assert (run.status, run.failure.message) == ("failed", "no")


def test_blocks_in_tasks(store: Path) -> None:
    """Each asyncio task has its own current run."""

    async def one(i: int) -> bool:
        with start_run("task", config={"i": i}, store=store) as run:
            await asyncio.sleep(0.01)
            log(i=i)
            return current_run() is run

    async def several() -> list[bool]:
        return await asyncio.gather(*(one(i) for i in range(3)))

    assert asyncio.run(several()) == [True] * 3
    for run in RunStore(store).runs():
        assert run.metrics["i"].last == run.config["i"]


def test_a_block_in_a_script(project: Project) -> None:
    """The replay of a block names the alternative; another experiment of the script replays, with the block unrecorded."""
    project.write(
        "script.py",
        """
        from recorder import record, start_run

        @record
        def f(x):
            return x + offset

        with start_run("block", config={"lr": 1}) as run:
            run.log(a=1)
            run.save({"a": 1}, name="value")
            offset = run.config["lr"]
            run.result = 5
        f(1)
        """,
    )
    project.python("script.py")
    done = project.recorder("replay", "1", status=3)
    assert "recorder exec -- python script.py" in done.stderr
    assert project.recorder("replay", "2").stdout.endswith("reproduced\n")
    assert len(json.loads(project.recorder("list", "--json").stdout)) == 3
    assert project.show(1)["function"]["kind"] == "block"
    assert project.show(1)["code"]["snapshot"]
