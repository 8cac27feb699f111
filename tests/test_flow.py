"""Tests of the whole flow, as a user types it: decorate, run, list, show, diff, replay."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from project import Project

TRAIN = """
    import numpy as np
    from recorder import record, log, save

    @record
    def train(lr: float = 0.1, epochs: int = 5, seed: int = 0):
        '''Train a thing.'''
        rng = np.random.default_rng(seed)
        weights = rng.normal(size=4)
        for epoch in range(epochs):
            weights -= lr * weights
            log(step=epoch, loss=float((weights ** 2).sum()))
        print("done", lr)
        np.savez("model.npz", weights=weights)
        save("model.npz")
        save(weights > 0, name="signs")
        return {"loss": float((weights ** 2).sum())}

    if __name__ == "__main__":
        train(lr=0.05)
    """


@pytest.fixture
def trained(project: Project) -> Project:
    """A project with a committed train.py, run once."""
    project.write("train.py", TRAIN)
    project.write(".gitignore", "*.npz\n")
    project.commit()
    project.python("train.py")
    return project


def test_a_run_leaves_its_record(trained: Project) -> None:
    """A plain `python train.py` records config, seed, code, environment, outputs, metrics and console."""
    record = trained.show(1)
    assert record["experiment"] == "train"
    assert record["status"] == "finished"
    assert record["config"] == {"lr": 0.05, "epochs": 5, "seed": 0}
    assert record["seed_info"]["value"] == 0
    assert record["code"]["commit"] == trained.git("rev-parse", "HEAD")
    assert record["code"]["branch"] == trained.git("rev-parse", "--abbrev-ref", "HEAD")
    assert not record["code"].get("dirty")
    assert record["function"]["file"] == "train.py"
    assert record["environment"].startswith("blake3:")
    assert [output["name"] for output in record["outputs"]] == ["model.npz", "signs"]
    assert record["metrics"]["loss"]["count"] == 5
    assert record["stdout"]["text"] == "done 0.05\n"
    assert record["process"]["argv"] == ["train.py"]
    assert set(record["result"]) == {"loss"}


def test_the_working_tree_is_left_alone(trained: Project) -> None:
    """Recording and replaying do not change what git reports about the working tree."""
    assert trained.git("status", "--porcelain") == ""
    index = (trained.root / ".git" / "index").read_bytes()
    model = (trained.root / "model.npz").stat().st_mtime_ns
    trained.recorder("replay", "1")
    assert trained.git("status", "--porcelain") == ""
    assert (trained.root / ".git" / "index").read_bytes() == index
    assert (trained.root / "model.npz").stat().st_mtime_ns == model
    left = (trained.root / ".recorder" / "workspaces").glob("*/files")
    assert list(left) == []


def test_list_says_what_varies(trained: Project) -> None:
    """`recorder list` shows one line per run, with varying config as columns and common values once above."""
    trained.recorder("run", "train.py:train", "lr=0.2", "epochs=5")
    lines = trained.recorder("list").stdout.splitlines()
    assert lines[0] == "all: experiment=train  status=finished  epochs=5  seed=0"
    assert lines[1].split() == ["run", "age", "duration", "lr", "loss"]
    assert [line.split()[0] for line in lines[2:]] == ["1", "2"]
    assert "0.05" in lines[2] and "0.2" in lines[3]


def test_diff_names_what_changed(trained: Project) -> None:
    """`recorder diff` names the config key, metric and outputs that differ, and exits with 1."""
    trained.recorder("run", "train.py:train", "lr=0.2")
    said = trained.recorder("diff", "1", "2", status=1).stdout
    for word in ("lr", "0.05", "0.2", "loss", "model.npz", "result"):
        assert word in said
    only = trained.recorder("diff", "1", "2", "--only", "config", status=1).stdout
    assert "lr" in only and "model.npz" not in only
    trained.recorder("diff", "1", "2", "--only", "code", status=0)
    trained.recorder("diff", "1", "1", status=0)


def test_outputs_are_not_code(project: Project) -> None:
    """A file that a run saved in the project is not part of the code of the next run."""
    project.write("train.py", TRAIN)
    project.commit()
    for _ in range(2):
        project.python("train.py")
    assert (project.root / "model.npz").exists()
    first, second = project.show(1), project.show(2)
    assert first["code"] == second["code"]
    assert first["fingerprint"] == second["fingerprint"]
    project.recorder("diff", "1", "2")


def test_replay_reproduces(trained: Project) -> None:
    """A replay of a deterministic run reproduces it, is a separate run, and names the original."""
    said = trained.recorder("replay", "1").stdout
    assert "reproduced" in said and "identical" in said
    record = trained.show(2)
    assert record["replay_of"] == trained.show(1)["id"]
    assert record["verdict"]["verdict"] == "reproduced"
    assert record["result"] == trained.show(1)["result"]
    assert record["fingerprint"] == trained.show(1)["fingerprint"]


def test_replay_of_dirty_code_after_it_changed(trained: Project) -> None:
    """Uncommitted code is replayed as it ran, even if the file has changed since."""
    file = trained.root / "train.py"
    file.write_text(file.read_text().replace("weights -= lr", "weights -= 0.5 * lr"))
    trained.python("train.py")
    file.write_text("raise SystemExit('this is not the code that ran')\n")
    trained.recorder("replay", "2")
    assert trained.show(3)["result"] == trained.show(2)["result"]
    assert trained.show(2)["code"]["dirty"] is True
    assert trained.show(2)["code"]["changed"] == ["train.py"]
    said = trained.recorder("diff", "1", "2", "--only", "code", status=1).stdout
    assert "train.py" in said


def test_replay_with_a_changed_config(trained: Project) -> None:
    """`--set` replays with one changed value, names the original, and gives no verdict."""
    said = trained.recorder("replay", "1", "--set", "lr=0.2").stdout
    assert "no verdict" in said
    record = trained.show(2)
    assert record["config"]["lr"] == 0.2
    assert record["changes"] == [{"key": "lr", "old": 0.05, "new": 0.2}]
    assert record["replay_of"] == trained.show(1)["id"]
    assert record["verdict"] is None


def test_a_clock_in_the_result_diverges(project: Project) -> None:
    """A function that reads the clock diverges with exit status 1, and the report locates the difference."""
    project.write(
        "clock.py",
        """
        import time
        from recorder import record, log

        @record
        def measure(n: int = 3):
            for step in range(n):
                log(step=step, steady=step, clock=time.time() if step else 0.0)
            return {"n": n, "when": time.time()}

        measure()
        """,
    )
    project.python("clock.py")
    said = project.recorder("replay", "1", status=1).stdout
    assert "diverged" in said
    assert "when" in said
    assert "step 1" in said
    found = json.loads(project.recorder("replay", "1", "--json", status=1).stdout)
    verdicts = {(item["kind"], item["name"]): item["verdict"] for item in found["items"]}
    assert verdicts["metric", "clock"] == "different"
    assert verdicts["metric", "steady"] == "identical"


def test_missing_and_extra_outputs_count(project: Project) -> None:
    """A missing output and an extra output both make a replay diverge."""
    project.write(
        "outputs.py",
        """
        import os
        from recorder import record, save

        @record
        def write(n: int = 1):
            name = "replayed" if "workspaces" in os.getcwd() else "recorded"
            save([1, 2], name=name)
            save([3], name="both")
            return n

        write()
        """,
    )
    project.python("outputs.py")
    found = json.loads(project.recorder("replay", "1", "--json", status=1).stdout)
    verdicts = {item["name"]: item["verdict"] for item in found["items"]}
    assert (verdicts["recorded"], verdicts["replayed"], verdicts["both"]) == (
        "missing",
        "extra",
        "identical",
    )


def test_nothing_to_compare_is_no_success(project: Project) -> None:
    """The replay of a run that returned and saved nothing exits with 4."""
    project.write("nothing.py", "from recorder import record\n\n@record\ndef f(): pass\n\nf()\n")
    project.python("nothing.py")
    said = project.recorder("replay", "1", status=4).stdout
    assert "nothing verified" in said


def test_a_failing_experiment(project: Project) -> None:
    """An exception is raised unchanged, is recorded with its traceback, and replays as the same failure."""
    project.write(
        "fails.py",
        """
        from recorder import record, log

        @record
        def fail(x: int = 1):
            log(before=1)
            raise KeyError(f"no {x}")

        fail()
        """,
    )
    done = project.python("fails.py", status=1)
    assert done.stderr.rstrip().endswith("KeyError: 'no 1'")
    record = project.show(1)
    assert record["status"] == "failed"
    assert record["failure"]["type"] == "builtins.KeyError"
    assert 'raise KeyError(f"no {x}")' in record["failure"]["traceback"]
    assert "recorder/experiment.py" not in record["failure"]["traceback"]
    assert record["metrics"]["before"]["count"] == 1
    assert "reproduced" in project.recorder("replay", "1").stdout


def test_addresses_on_the_command_line(trained: Project) -> None:
    """Each way to name a run works, and an unknown name gives one line with the nearest names."""
    trained.recorder("run", "train.py:train", "lr=0.2")
    id = trained.show(1)["id"]
    for ref in ("1", id, id[:6], "last~1", "train~1"):
        assert trained.show(ref)["number"] == 1
    done = trained.recorder("show", "trian", status=3)
    assert done.stderr == "recorder: no run 'trian': did you mean train?\n"


def test_from_python(trained: Project) -> None:
    """`Store()` finds the store, and its runs have config, result and outputs."""
    code = """
from recorder.store.store import RunStore
store = RunStore()
for run in store.runs():
    print(run.number, run.id, run.experiment, run.status, run.config["lr"], run.metrics["loss"].count, run.seed)
print(store.find("train").number)
"""
    lines = trained.python("-c", code, cwd=Path(trained.root)).stdout.splitlines()
    assert lines == [f"1 {trained.show(1)['id']} train finished 0.05 5 0", "1"]
