"""Programs that seed random generators themselves: recording does not change their results, and replays repeat them."""

from __future__ import annotations

import json
import random
import textwrap
from typing import Any

import pytest
from project import Project

from recorder.capture.seeding import program_seeds

HEAD = """
    import os, random, sys
    import numpy as np
    from recorder import {names}

    if os.environ.get("PLAIN"):
        record = lambda *args, **options: args[0] if args else (lambda function: function)
"""

# Each program prints numbers that its own seeds decide, before, inside and after the recorded calls.
PROGRAMS = {
    "at the top": """
        random.seed(1); np.random.seed(2)

        @record
        def f():
            return random.random(), float(np.random.random())

        if __name__ == "__main__":
            print(f(), f(), random.random(), np.random.random())
    """,
    "at the top, then draws": """
        random.seed(1); np.random.seed(2)
        data = [random.random() for _ in range(5000)], np.random.random(7).tolist()

        @record
        def f(seed=0):
            return random.random(), float(np.random.random())

        if __name__ == "__main__":
            print(f(), f(seed=3), random.gauss(0, 1), np.random.normal())
    """,
    "by a string": """
        random.seed("experiment 7")

        @record
        def f(seed=0):
            return random.random()

        if __name__ == "__main__":
            print(f(), random.random())
    """,
    "in the guard": """
        @record
        def f(n):
            return [random.random() for _ in range(n)]

        if __name__ == "__main__":
            random.seed(7)
            print(f(2), f(3), random.random())
    """,
    "inside, with the argument": """
        @record
        def f(seed=5):
            random.seed(seed); np.random.seed(seed)
            return random.random(), float(np.random.random())

        if __name__ == "__main__":
            print(f(), random.random(), np.random.random(), f(seed=6), random.random())
    """,
    "inside, with another number": """
        @record
        def f(x=1, seed=5):
            random.seed(11)
            return random.random()

        if __name__ == "__main__":
            print(f(), random.random(), f(2), random.random())
    """,
    "between calls": """
        @record
        def f(seed=0):
            return float(np.random.random())

        if __name__ == "__main__":
            np.random.seed(3)
            a = f()
            np.random.seed(4)
            print(a, f(), f(), np.random.random())
    """,
    "in a run within a run": """
        @record
        def inner():
            return random.random()

        @record
        def outer():
            random.seed(9)
            return inner(), inner(), random.random()

        if __name__ == "__main__":
            print(outer(), random.random())
    """,
    "a generator": """
        random.seed(1)

        @record
        def f(n):
            for _ in range(n):
                yield random.random()

        if __name__ == "__main__":
            print([(value, random.random()) for value in f(3)], random.random())
    """,
    "PyTorch": """
        import torch
        torch.manual_seed(3)

        @record
        def f(seed=0):
            return torch.rand(2).tolist()

        @record
        def g(seed=0):
            torch.manual_seed(seed)
            return torch.rand(2).tolist()

        if __name__ == "__main__":
            print(f(), f(), torch.rand(1), g(), torch.rand(1), g(4), torch.rand(1))
    """,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_recording_changes_no_result(project: Project, name: str) -> None:
    """A program that seeds itself prints the same numbers recorded and plain, and its first run is reproduced."""
    if name == "PyTorch":
        pytest.importorskip("torch")
    head, body = HEAD.format(names="record"), PROGRAMS[name]
    project.write("program.py", textwrap.dedent(head) + textwrap.dedent(body))
    plain = project.python("program.py", env={"PLAIN": "1"}).stdout
    assert project.python("program.py", env={"PLAIN": "1"}).stdout == plain  # the seeds decide it
    recorded = project.python("program.py")
    assert recorded.stdout == plain
    if name != "a generator":  # between its steps the caller draws from the same generator
        for run in json.loads(project.recorder("list", "--json").stdout):
            done = project.recorder("replay", str(run["number"]))
            assert done.stdout.endswith("reproduced\n"), done.stdout


def test_the_record_names_them(project: Project) -> None:
    """`show` lists the generators that the program had seeded apart from those that were planted."""
    head, body = (
        HEAD.format(names="record"),
        "random.seed(1)\n@record\ndef f(seed=0): return np.random.random()\nf()\n",
    )
    project.write("program.py", textwrap.dedent(head) + body)
    project.python("program.py")
    seed = project.show(1)["seed_info"]
    assert list(seed["kept"]) == ["random"] and seed["generators"] == ["numpy"]
    assert (
        "not planted in random, which the program had seeded"
        in project.recorder("show", "1").stdout
    )


def test_what_nobody_has_seeded_is_planted(project: Project) -> None:
    """Draws alone do not count as seeding: the seed is planted, calls with one seed agree, and draws between differ."""
    body = """
        @record
        def f(seed=0):
            return random.random(), float(np.random.random())

        if __name__ == "__main__":
            between = []
            for _ in range(3):
                between.append((random.gauss(0, 1), float(np.random.random())))
                result = f(seed=1)
            assert len({str(pair) for pair in between}) == 3
            print(result)
    """
    project.write(
        "program.py", textwrap.dedent(HEAD.format(names="record")) + textwrap.dedent(body)
    )
    random.seed(1)
    first = random.random()
    for _ in range(2):  # two processes
        assert project.python("program.py").stdout.startswith(f"({first}, ")
    assert {str(project.show(n)["result"]) for n in range(1, 7)} == {str(project.show(1)["result"])}
    assert "kept" not in project.show(1)["seed_info"]


def test_unseeded_torch_is_planted(project: Project) -> None:
    """Draws from PyTorch before the call do not count as seeding, in a second call neither."""
    pytest.importorskip("torch")
    body = """
        import torch

        @record
        def f(seed=0):
            return torch.rand(2).tolist()

        if __name__ == "__main__":
            print(torch.rand(1))
            assert f(seed=1) == f(seed=1)
            assert torch.rand(1) != torch.rand(1)
            assert f(seed=1) == f(seed=1)
    """
    project.write(
        "program.py", textwrap.dedent(HEAD.format(names="record")) + textwrap.dedent(body)
    )
    assert project.python("program.py").stdout != project.python("program.py").stdout
    assert {str(project.show(n)["result"]) for n in range(1, 9)} == {str(project.show(1)["result"])}


def test_a_seed_that_is_asked_for_replaces_the_programs(project: Project) -> None:
    """`recorder run --seed` and start_run(seed=) seed every generator, also one that the program had seeded."""
    body = """
        random.seed(1)

        @record
        def f():
            return random.random()

        def main():
            with start_run("block", seed=4) as run:
                run.result = random.random()
    """
    project.write(
        "program.py",
        textwrap.dedent(HEAD.format(names="record, start_run"))
        + textwrap.dedent(body)
        + "\nmain()\n",
    )
    random.seed(4)
    expected = random.random()
    project.python("program.py")
    project.recorder("run", "program.py:f", "--seed", "4")
    assert [project.show(n)["result"] for n in (1, 2)] == [expected, expected]


def test_another_state_is_not_reused(project: Project) -> None:
    """A run is reused only if the generators that the program has seeded have the states of that run."""
    body = """
        @record(reuse=True)
        def f():
            return random.random()

        if __name__ == "__main__":
            random.seed(int(sys.argv[1]))
            print(f(), f())
    """
    project.write(
        "program.py", textwrap.dedent(HEAD.format(names="record")) + textwrap.dedent(body)
    )
    for seed in ("1", "2", "1"):
        plain = project.python("program.py", seed, env={"PLAIN": "1"}).stdout
        assert project.python("program.py", seed).stdout.split()[0] == plain.split()[0]


def test_seeds_are_told_from_draws() -> None:
    """A state is new or not, comes from a short key or from entropy, and is reached by draws or not."""
    generator = random.Random()
    keys: list[Any] = [0, 1, 42, 2**31, 2**100, -5, "abc", b"xyz", 3.5]
    for key in keys:
        generator.seed(key)
        state = generator.getstate()
        assert program_seeds._is_new(state) and program_seeds._has_short_key(state[1])
    for _ in range(50):
        generator.seed()
        state = generator.getstate()
        assert program_seeds._is_new(state) and not program_seeds._has_short_key(state[1])
    start = generator.getstate()
    for count in (1, 311, 312, 313, 5000):
        generator.setstate(start)
        for _ in range(count):
            generator.random()
        assert program_seeds._is_reached(start, generator.getstate())
        assert not program_seeds._is_new(generator.getstate())
        assert not program_seeds._comes_from_short_key(generator.getstate()[1])
    for key in keys:
        for count in (1, 312, 5000):
            generator.seed(key)
            for _ in range(count):
                generator.random()
            assert program_seeds._comes_from_short_key(generator.getstate()[1])
            assert not program_seeds._is_reached(start, generator.getstate())


def test_states_are_packed_and_unpacked() -> None:
    """A packed state restores exactly the same draws, a pending Gaussian number included."""
    import numpy as np

    generator = random.Random(3)
    for step in (generator.random, lambda: generator.gauss(0, 1)):
        step()
        state = generator.getstate()
        assert program_seeds.unpack_python(program_seeds.pack_python(state), random) == state
    legacy = np.random.RandomState(3)
    for step in (legacy.random_sample, legacy.normal):
        step()
        state = legacy.get_state()
        other = np.random.RandomState()
        other.set_state(program_seeds.unpack_numpy(program_seeds.pack_numpy(state), np.random))
        assert (other.normal(size=9) == legacy.normal(size=9)).all()
