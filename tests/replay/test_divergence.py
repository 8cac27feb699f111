"""Tests with planted divergences: each is found and located, and nothing else is reported."""

from __future__ import annotations

import json
import os
import textwrap
from pathlib import Path
from typing import Any

import pytest
from project import Project

# The clock and the order of a set differ in each process.
CHANCE = """
    import json
    import time
    from pathlib import Path

    from recorder import record

    @record
    def clock():
        started = time.time()
        return {"steps": 3, "when": started}

    @record
    def order():
        words = {f"word{i}" for i in range(30)}
        Path("words.json").write_text(json.dumps(list(words)))
        return len(words)

    if __name__ == "__main__":
        clock()
        order()
"""
# A folder outside the project, like the state of a machine, changes the results of these experiments.
PLANTED = """
    from pathlib import Path

    import numpy as np

    from recorder import log, record, save

    OUTSIDE = Path({outside!r})

    def is_later():
        return (OUTSIDE / "later").exists()

    @record
    def weigh():
        import ruler

        return {{"weight": ruler.measure(3.0), "unit": "kg"}}

    @record
    def table():
        rows = [line.split(",") for line in (OUTSIDE / "data.csv").read_text().splitlines()[1:]]
        with Path("doubled.csv").open("w") as file:
            print("name,value", file=file)
            for name, value in rows:
                print(name, 2 * float(value), sep=",", file=file)
        return len(rows)

    @record
    def lose():
        for name in ("a.txt", "b.txt"):
            if not (is_later() and name == "b.txt"):
                Path(name).write_text(name)
                save(name)

    @record
    def gain():
        Path("a.txt").write_text("a")
        save("a.txt")
        if is_later():
            Path("new.txt").write_text("new")
            save("new.txt")

    @record
    def swap():
        names = ["train.csv", "test.csv", "whole.csv"]
        for name, rows in zip(names, [[1, 2], [3], [1, 2, 3]]):
            Path(name).write_text("x\\n" + "\\n".join(map(str, rows)))
        if is_later():
            Path("train.csv").rename("t")
            Path("test.csv").rename("train.csv")
            Path("t").rename("test.csv")
        for name in names:
            save(name)

    @record
    def descend():
        loss = 1.0
        for step in range(600):
            loss *= 0.995 * (1 + 1e-9 * (is_later() and step >= 400))
            log(step=step, loss=loss, rate=0.1)
        return "done"

    @record
    def million():
        weights = np.random.default_rng(0).normal(size=(1000, 1000))
        if is_later():
            weights[617, 283] += 1e-6
        np.save("weights.npy", weights)
        return weights.shape

    if __name__ == "__main__":
        for experiment in (table, lose, gain, swap, descend, million, weigh):
            experiment()
"""
RUNS = {
    "clock": 1, "order": 2, "table": 3, "lose": 4, "gain": 5, "swap": 6, "descend": 7, "million": 8, "weigh": 9
}  # fmt: skip


def install(folder: Path, version: str, *, factor: float) -> None:
    """Install a version of a tiny package in a folder, in place of the version before."""
    for old in folder.glob("ruler-*/*"):
        old.unlink()
    for old in folder.glob("ruler-*"):
        old.rmdir()
    info = folder / f"ruler-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: ruler\nVersion: {version}\n")
    (info / "RECORD").write_text(f"ruler.py,,\nruler-{version}.dist-info/METADATA,,\n")
    (info / "INSTALLER").write_text("pip\n")
    (folder / "ruler.py").write_text(f"def measure(x):\n    return {factor} * x\n")


def change(outside: Path) -> None:
    """Change everything outside the project that the programs depend on."""
    (outside / "later").touch()
    (outside / "data.csv").write_text("name,value\na,1\nb,2.5\nc,3\n")
    install(outside / "packages", "2.0", factor=2.25)
    # As with a real upgrade, the modification times differ, also within the same second.
    os.utime(outside / "packages" / "ruler.py", (2e9, 2e9))


class Planted:
    """A project and the replay of each experiment."""

    def __init__(self, project: Project, replays: list[dict[str, Any]]) -> None:
        self.project = project
        self._replays = {one["experiment"]: one for one in replays}

    def replay(self, experiment: str) -> dict[str, Any]:
        """Return the replay of an experiment, with its items by name in ``items``."""
        found = self._replays[experiment]
        return {**found, "items": {item["name"]: item for item in found["items"]}}

    def wrong(self, experiment: str) -> dict[str, str]:
        """Return the verdicts of the items that differ."""
        items = self.replay(experiment)["items"].values()
        good = ("identical", "equal")
        return {item["name"]: item["verdict"] for item in items if item["verdict"] not in good}


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    """Record each experiment, change the outside folder, and replay each."""
    pytest.importorskip("numpy")
    place = tmp_path_factory.mktemp("planted")
    outside, root = place / "outside", place / "project"
    outside.mkdir()
    root.mkdir()
    project = Project(root)
    project.env["PYTHONPATH"] = str(outside / "packages")
    (outside / "data.csv").write_text("name,value\na,1\nb,2\nc,3\n")
    install(outside / "packages", "1.0", factor=2.0)
    project.write("chance.py", CHANCE)
    project.write("planted.py", textwrap.dedent(PLANTED).format(outside=str(outside)))
    project.commit()
    for name in ("chance", "planted"):
        project.python(f"{name}.py")
    change(outside)
    # Read the present inputs; other tests cover the stored ones.
    done = project.recorder("replay", "--all", "-j", "2", "--json", "--current-inputs", status=1)
    return Planted(project, json.loads(done.stdout)["replays"])


def test_each_diverged(planted: Planted) -> None:
    """Every experiment diverges in exactly the items with a planted difference."""
    found = {name: planted.wrong(name) for name in RUNS}
    assert found == {
        "clock": {"result": "different"},
        "order": {"words.json": "different"},
        "weigh": {"result": "different"},
        "table": {"doubled.csv": "different"},
        "lose": {"b.txt": "missing"},
        "gain": {"new.txt": "extra"},
        "swap": {"train.csv": "different", "test.csv": "different"},
        "descend": {"loss": "different"},
        "million": {"weights.npy": "different"},
    }
    assert {planted.replay(name)["verdict"] for name in RUNS} == {"diverged"}


def test_no_cause_is_made_up(planted: Planted) -> None:
    """No cause is named where none is known; slightly different numbers may name NumPy's threads."""
    silent = [name for name in RUNS if not planted.replay(name)["causes"]]
    assert {"lose", "gain", "swap"} <= set(silent) <= {"lose", "gain", "swap", "descend", "million"}
    for name in ("descend", "million"):
        assert all(cause.startswith("threads: ") for cause in planted.replay(name)["causes"])


def test_the_clock(planted: Planted) -> None:
    """A time in a result is located by its key, and the line that read the clock is the likely cause."""
    replay = planted.replay("clock")
    (difference,) = replay["items"]["result"]["differences"]
    assert difference["path"] == "when" and 0 < difference["abs_error"] < 600
    assert replay["causes"][0] == "clock: started (chance.py:11)"


def test_the_order_of_a_set(planted: Planted) -> None:
    """The first changed element of a list is located, and the set is the likely cause."""
    replay = planted.replay("order")
    item = replay["items"]["words.json"]
    assert item["differences"][0]["path"].startswith("[") and item["count"] > 1
    assert replay["causes"][0] == "hash order: the order of words (chance.py:16)"


def test_a_changed_package(planted: Planted) -> None:
    """A package with another version is named by the plan and as the first likely cause."""
    replay = planted.replay("weigh")
    assert replay["items"]["result"]["detail"].startswith("weight: 6.0 -> 6.75 (1.1e-01 relative")
    assert replay["causes"] == ["ruler: 1.0 -> 2.0"]
    done = planted.project.recorder("replay", str(RUNS["weigh"]), status=1)
    assert "  differs: ruler: 1.0 -> 2.0\n" in done.stderr
    assert done.stdout.endswith("diverged: result (different)\nmay be due to: ruler: 1.0 -> 2.0\n")


def test_a_changed_input(planted: Planted) -> None:
    """A changed input is the cause, and the changed cell of the output is located."""
    replay = planted.replay("table")
    (difference,) = replay["items"]["doubled.csv"]["differences"]
    assert (difference["left"], difference["right"]) == ("4.0", "5.0")
    assert difference["path"] == "row 2, column value"
    (cause,) = replay["causes"]
    assert cause.startswith("changed input: ") and cause.endswith("/data.csv")


def test_outputs_missing_extra_and_swapped(planted: Planted) -> None:
    """Missing, extra, and swapped outputs are named as such, and an unchanged output is identical."""
    assert planted.replay("lose")["items"]["b.txt"]["detail"] == "the replay did not save it"
    assert planted.replay("gain")["items"]["new.txt"]["detail"] == "only the replay saved it"
    swapped = planted.replay("swap")["items"]
    assert swapped["train.csv"]["detail"] == "swapped with test.csv"
    assert swapped["test.csv"]["detail"] == "swapped with train.csv"
    assert swapped["whole.csv"]["verdict"] == "identical"


def test_a_series_that_departs(planted: Planted) -> None:
    """A series reports the step at which it departs, and the difference there and at the end."""
    item = planted.replay("descend")["items"]["loss"]
    departure = item["departure"]
    assert departure["step"] == 400 and departure["end_step"] == 599
    assert departure["count"] == 200 and departure["points"] == 600
    assert departure["rel_error"] == pytest.approx(1e-9, rel=1e-3)
    assert departure["end_rel_error"] == pytest.approx(200e-9, rel=1e-3)
    assert "first differs at step 400: " in item["detail"]


def test_one_element_of_a_million(planted: Planted) -> None:
    """A single differing element of an array is located by its index."""
    (difference,) = planted.replay("million")["items"]["weights.npy"]["differences"]
    assert difference["index"] == [617, 283]
    assert (difference["count"], difference["size"]) == (1, 1_000_000)
    assert difference["abs_error"] == pytest.approx(1e-6)


THREADS = """
    import torch
    from recorder import record, save

    @record
    def accumulate():
        torch.set_num_threads(2)
        values = torch.rand(5_000_000)  # 10 ms of two threads: more than a slice of a processor's time
        places = torch.randint(50, (5_000_000,))
        for name, mode, count in (("total", "default", 5_000_000), ("steady", "error", 300_000)):
            torch.set_deterministic_debug_mode(mode)
            total = torch.zeros(50)
            for _ in range(3):
                total.index_put_((places[:count],), values[:count], accumulate=True)
            save(total, name=name)
        save(torch.bincount(places), name="counts")

    if __name__ == "__main__":
        accumulate()
"""


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="there is one processor: no two threads")
@pytest.mark.torch
def test_a_sum_over_threads(project: Project) -> None:
    """Threads that add atomically to the same elements round differently; deterministic algorithms do not.

    Integer counts are identical, and the size of the difference tells rounding from a mistake.
    """
    project.write("threads.py", THREADS)
    project.python("threads.py")
    for _ in range(5):  # threads that share a processor may take turns and round alike
        done = json.loads(project.recorder("replay", "1", "--json", status=None).stdout)
        if done["verdict"] != "reproduced":
            break
    items = {item["name"]: item for item in done["items"]}
    assert items["counts"]["verdict"] == items["steady"]["verdict"] == "identical"
    (difference,) = items["total"]["differences"]
    assert difference["count"] > 5 and difference["size"] == 50
    assert 0 < difference["abs_error"] < 100
    assert done["reason"] == "total (different)"
    assert done["causes"] and all(cause.startswith("threads: ") for cause in done["causes"])
