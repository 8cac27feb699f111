"""The verdict corpus: files that real libraries wrote in a run and in its replay, and twins that are off by 1e-3.

A case reproduces although its files hold the workspace's path, times, durations and random ids. Its twin diverges. The
score is printed; run with ``-s`` to see it. ``make.py`` writes the cases.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from recorder.compare.items import Verification
from recorder.compare.verify import verify
from recorder.records import Code, Function, Output, Process, Record
from recorder.store.objects.objects import Objects

WORKSPACE = b"/.recorder/workspaces/0123456789abcdefghjk/files"
CASES = sorted((Path(__file__).parent / "cases").glob("*.zip"))
Files = dict[str, bytes]
Score = dict[str, list[bool]]


class Case(NamedTuple):
    """The files of the recorded run, the replay and the twin, and the facts of each run."""

    runs: dict[str, Files]
    facts: dict[str, dict[str, Any]]


def load(path: Path) -> Case:
    """Return a case of the corpus."""
    runs: dict[str, Files] = {"recorded": {}, "replayed": {}, "twin": {}}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            run, _, file = name.partition("/")
            if file:
                runs[run][file] = archive.read(name)
        return Case(runs, json.loads(archive.read("facts.json")))


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    """Return an empty store of objects."""
    for name in ("objects", "staging"):
        (tmp_path / name).mkdir()
    return Objects(tmp_path / "objects", staging=tmp_path / "staging")


def record(objects: Objects, files: Files, facts: dict[str, Any], **fields: Any) -> Record:
    """Return the record of a run that wrote the files without naming them."""
    outputs = [
        Output(
            name=name,
            kind="file",
            digest=objects.put_bytes(data),
            size_bytes=len(data),
            path=name,
            found=True,
        )
        for name, data in files.items()
    ]
    return Record(
        id="a" * 20,
        experiment="e",
        function=Function(module="m", qualname="e"),
        started=datetime.fromisoformat(facts["started"]),
        finished=datetime.fromisoformat(facts["finished"]),
        duration_s=facts["duration_s"],
        status="finished",
        code=Code(root=facts["root"]),
        process=Process(pid=1, host="h", user="u", argv=(), cwd=facts["cwd"]),
        outputs=tuple(outputs),
        **fields,
    )


def judge(objects: Objects, case: Case, replay: str, files: Files | None = None) -> Verification:
    """Return the verdict on a run of a case, or on other files of that run."""
    original = record(objects, case.runs["recorded"], case.facts["recorded"])
    other = record(objects, case.runs[replay] if files is None else files, case.facts[replay])
    return verify(original, other, objects)


def wrong(found: Verification) -> list[str]:
    """Describe the items that speak against a reproduction."""
    return [
        f"{item.name}: {item.verdict}, {item.detail}"
        for item in found.items
        if item.decides and item.verdict not in ("identical", "equal")
    ]


@pytest.fixture(scope="module")
def score() -> Iterator[Score]:
    """Collect whether each verdict is right, and print the score."""
    right: Score = {"noise": [], "twins": []}
    yield right
    for kind, verdicts in right.items():
        print(f"\n{kind}: {sum(verdicts)} of {len(verdicts)} verdicts are right")


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_noise_does_not_decide(objects: Objects, path: Path, score: Score) -> None:
    """The replay of a deterministic program reproduces although its files hold places, times and durations."""
    found = judge(objects, load(path), "replayed")
    score["noise"].append(found.verdict == "reproduced")
    assert (found.verdict, wrong(found)) == ("reproduced", [])


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_the_twin_decides(objects: Objects, path: Path, score: Score) -> None:
    """A number that is off by 1e-3 diverges, next to the same noise."""
    found = judge(objects, load(path), "twin")
    score["twins"].append(found.verdict == "diverged")
    assert found.verdict == "diverged"


def in_zip(data: bytes, member: str, old: bytes, new: bytes) -> bytes:
    """Return a zip with a string of equal length replaced in the members whose name ends so."""
    assert len(old) == len(new)
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as archive, zipfile.ZipFile(stream, "w") as copy:
        for name in archive.namelist():
            content = archive.read(name)
            assert not name.endswith(member) or old in content
            copy.writestr(name, content.replace(old, new) if name.endswith(member) else content)
    return stream.getvalue()


# A case, the end of the name of a file of the replay, and a change that must decide.
Change = Callable[[bytes], bytes]


def swap(old: str | bytes, new: str | bytes) -> Change:
    """Return a change that replaces a string."""
    before, after = (s.encode() if isinstance(s, str) else s for s in (old, new))

    def change(data: bytes) -> bytes:
        assert before in data
        return data.replace(before, after)

    return change


def member(name: str, old: bytes, new: bytes) -> Change:
    """Return a change that replaces a string in a member of a zip."""
    return lambda data: in_zip(data, name, old, new)


OUTSIDE = WORKSPACE.replace(b"workspaces", b"workplaces")
TWINS: list[tuple[str, str, Change]] = [
    ("plain_files", "summary.json", swap('"walltime_limit": 60', '"walltime_limit": 61')),
    ("plain_files", "summary.json", swap(WORKSPACE + b"/srv", b"/elsewhere/srv")),
    ("plain_files", "summary.json", swap(WORKSPACE, OUTSIDE)),
    ("plain_files", "summary.json", swap('"train_runtime": 0.', '"train_runtime": 90.')),
    ("plain_files", "summary.json", swap('"train_runtime": ', '"train_runtime": -')),
    ("plain_files", "summary.json", swap('"train_runtime": 0.', '"max_runtime": 0.')),
    ("plain_files", "epochs.csv", swap("elapsed_s", "epsilon_s")),
    ("plain_files", "epochs.csv", swap("\r\n2,", "\r\n3,")),
    ("plain_files", ".txt", swap(WORKSPACE, OUTSIDE)),
    ("plain_files", ".txt", swap("loss 0.25", "loss 0.2500000001")),
    ("plain_files", "results.db", swap(WORKSPACE, OUTSIDE)),
    ("lightning_module", "last.ckpt", member("data.pkl", WORKSPACE, OUTSIDE)),
    ("lightning_module", "hparams.yaml", swap("width: 2", "width: 3")),
    ("lightning_module", "metrics.csv", swap("0,", "1,")),
    ("tensorboard_writer", "layer.pt", member("data.pkl", WORKSPACE, OUTSIDE)),
    ("keras_model", "model.keras", member("metadata.json", b"date_saved", b"date_taken")),
    ("keras_model", "model.keras", member("config.json", b'"units": 2', b'"units": 3')),
    ("mlflow_run", "/params/lr", swap("0.1", "0.2")),
    ("mlflow_run", "/artifacts/table.csv", swap("1,2", "1,3")),
    ("mlflow_run", "/metrics/loss", swap(" 0.5 1", " 0.5 2")),
    ("sacred_run", "config.json", swap('"lr": 0.1', '"lr": 0.2')),
    ("sacred_run", "metrics.json", swap("0.05", "0.06")),
    ("sacred_run", "run.json", swap('"status": "COMPLETED"', '"status": "FAILED"')),
    ("hydra_app", ".hydra/config.yaml", swap("lr: 0.1", "lr: 0.2")),
    ("hydra_app", "result.json", swap(WORKSPACE, OUTSIDE)),
    ("transformers_trainer", "trainer_state.json", swap('"loss": 0.', '"loss": 1.')),
    ("transformers_trainer", "train_results.json", swap('"epoch": 1.0', '"epoch": 2.0')),
    ("transformers_trainer", "config.json", swap('"hidden_size": 4', '"hidden_size": 5')),
    ("cross_validation", "search.csv", swap("mean_fit_time", "mean_hit_time")),
    ("cross_validation", "pipeline.pkl", swap(WORKSPACE, OUTSIDE)),
    ("dvclive_run", "params.yaml", swap("0.1", "0.2")),
]


@pytest.mark.parametrize(
    ("name", "end", "change"), TWINS, ids=[f"{i}-{t[0]}-{t[1]}" for i, t in enumerate(TWINS)]
)
def test_a_change_of_content_decides(
    objects: Objects, name: str, end: str, change: Change, score: Score
) -> None:
    """A path outside the project, a parameter, an impossible duration or any other content is never taken for noise."""
    case = load(next(path for path in CASES if path.stem == name))
    files = dict(case.runs["replayed"])
    changed = [file for file in files if file.endswith(end)]
    for file in changed:
        files[file] = change(files[file])
    found = judge(objects, case, "replayed", files)
    # A pickle that differs is opaque: never equal, and never enough for a reproduction of this output.
    opaque = [item.verdict for item in found.items if item.name in changed] == ["opaque"]
    score["twins"].append(bool(changed) and (found.verdict == "diverged" or opaque))
    assert changed and (found.verdict == "diverged" or opaque)


def test_a_date_of_the_data_is_not_the_time_of_the_run(objects: Objects, score: Score) -> None:
    """Names with a time that is not the run's are not matched."""
    case = load(next(path for path in CASES if path.stem == "plain_files"))
    files = {
        "plot-20200101-000000.json" if name.startswith("plot-") else name: data
        for name, data in case.runs["replayed"].items()
    }
    found = judge(objects, case, "replayed", files)
    score["twins"].append(found.verdict == "diverged")
    assert found.verdict == "diverged"
    assert {"missing", "extra"} <= {item.verdict for item in found.items}
