"""Tests for the detection of hazards on a corpus of programs with known hazards, and of harmless ones."""

from __future__ import annotations

import os
import re
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
from project import Project

from recorder.hazards import kind_of
from recorder.records import Hazard
from recorder.store.store import RunStore

CORPUS = Path(__file__).parent / "corpus"
PROGRAMS = sorted(CORPUS.glob("*/*.py"))
NEEDS = {"optuna_name": "optuna"}
_MARK = re.compile(r"# hazard: ([a-z ]+)$")

DRIVER = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name).main()
"""


def known(program: Path) -> set[tuple[str, int]]:
    """Return kind and line of the hazards that the program's comments name."""
    lines = enumerate(program.read_text().splitlines(), 1)
    return {(mark[1], number) for number, line in lines if (mark := _MARK.search(line))}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[tuple[str, int]]]:
    """The hazards of each program that change a grade, by the program's name, from one real run each."""
    root = tmp_path_factory.mktemp("corpus") / "project"
    root.mkdir()
    project = Project(root)
    runnable = [p for p in PROGRAMS if p.stem not in NEEDS or find_spec(NEEDS[p.stem])]
    for program in runnable:
        shutil.copy(program, root)
    for number in range(1, 4):
        project.write(f"data/{number}.txt", f"{number}\n")
    project.write("driver.py", DRIVER)
    env = {name: value for name, value in os.environ.items() if name != "PYTHONHASHSEED"}
    project.env = {**env, "PYTHONHASHSEED": "random"}
    project.python("driver.py", *(program.stem for program in runnable))
    runs = {run.function.module: run for run in RunStore(root / ".recorder").runs()}
    return {
        program.stem: {
            (hazard.kind, int(hazard.place.rpartition(":")[2]))
            for hazard in runs[program.stem].hazards
            if is_grave(hazard) and hazard.place.startswith(f"{program.stem}.py:")
        }
        for program in runnable
    }


def is_grave(hazard: Hazard) -> bool:
    """Return True if the hazard changes the grade."""
    return kind_of(hazard).weight != "note"


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_each_program(program: Path, found: dict[str, set[tuple[str, int]]]) -> None:
    """Each known hazard is found at its line, and nothing else."""
    if program.stem not in found:
        pytest.skip(f"{NEEDS[program.stem]} is not installed")
    assert found[program.stem] == known(program)


def test_the_score(found: dict[str, set[tuple[str, int]]]) -> None:
    """At least 95 % of the known hazards are found, and at most 5 % of the harmless programs have a false one."""
    marked = [(p.stem, one) for p in PROGRAMS if p.stem in found for one in known(p)]
    hits = sum(one in found[name] for name, one in marked)
    harmless = [p.stem for p in PROGRAMS if p.parent.name == "harmless" and p.stem in found]
    false = [name for name in harmless if found[name]]
    print(
        f"hazards: {hits} of {len(marked)} found, {len(false)} of {len(harmless)} harmless programs flagged"
    )
    assert hits >= 0.95 * len(marked) and len(false) <= 0.05 * len(harmless)
