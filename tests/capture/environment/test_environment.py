"""Tests for the environment and the process."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from project import Project

from recorder.capture.environment.environment import allowed_variables, describe_environment
from recorder.capture.environment.hardware import cuda_version, describe_cpu, describe_gpus
from recorder.capture.environment.process import describe_process
from recorder.store.store import RunStore


def test_the_environment_is_plain_json_and_true() -> None:
    """Interpreter, platform, and packages are those of this process, as plain JSON."""
    found, _, problems = describe_environment()
    assert problems == ()
    assert json.loads(json.dumps(found)) == found
    assert found["python"]["version"] == platform.python_version()
    assert found["platform"]["system"] == platform.system()
    assert (
        found["packages"]["numpy"]["version"]
        == sys.modules.get("numpy", __import__("numpy")).__version__
    )
    assert found["platform"]["cpu"]["count"] == os.cpu_count()


def test_it_is_the_same_object_until_something_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same dict is returned until a relevant variable or sys.path changes."""
    first = describe_environment()
    assert describe_environment() is first
    monkeypatch.setenv("SOMETHING_ELSE", "1")
    assert describe_environment() is first
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    second = describe_environment()
    assert second is not first and second.described["variables"]["OMP_NUM_THREADS"] == "3"


def test_two_processes_have_the_same_environment() -> None:
    """Two processes have the same environment object."""
    code = "import json; from recorder.capture.environment.environment import *; print(json.dumps(describe_environment().described, sort_keys=True))"
    said = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
        for _ in range(2)
    }
    assert len(said) == 1


def test_variables_by_allow_list() -> None:
    """Only variables on the allow-list are recorded, and none that looks like a credential."""
    given = {
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": "/x",
        "TZ": "UTC",
        "LC_ALL": "C",
        "HOME": "/root",
        "AWS_SECRET_ACCESS_KEY": "s",
        "PYTHON_API_KEY": "k",
        "TORCH_AUTH_TOKEN": "t",
        "PYTHONHASHSEED": "0",
        "TF_URL": "https://user:pw@host/",
    }
    assert set(allowed_variables(given)) == {"OMP_NUM_THREADS", "PYTHONPATH", "TZ", "LC_ALL"}


def test_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Working directory and import path are relative to the root if they are inside it."""
    (tmp_path / "src").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.syspath_prepend(str(tmp_path / "src"))
    found = describe_process(root=tmp_path)
    assert (found.cwd, found.cwd_in_root, found.path_in_root[0]) == (
        str(tmp_path / "work"),
        "work",
        "src",
    )
    assert (found.pid, found.argv) == (os.getpid(), tuple(sys.argv))
    assert describe_process(root=tmp_path / "src").cwd_in_root is None


def test_an_environment_inside_the_project_is_no_part_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The packages of a virtual environment inside the project are not on the project's import path."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    monkeypatch.syspath_prepend(str(tmp_path / ".venv" / "lib" / "site-packages"))
    assert describe_process(root=tmp_path).path_in_root == ()


SEED = """
import json, os, sys
if "set" in sys.argv: os.environ["PYTHONHASHSEED"] = "7"
from recorder.capture.environment.process import describe_process
found = describe_process(root=None)
print(json.dumps([found.hash_seed, found.hash_probe, found.umask]))
"""


def hash_seed(*options: str, seed: str | None) -> list[str | None]:
    """Return the hash seed that a new process reports."""
    env = {**os.environ, **({} if seed is None else {"PYTHONHASHSEED": seed})}
    command = ["sh", "-c", 'umask 027; exec "$@"', "sh", sys.executable, *options[:-1], "-c", SEED]
    done = subprocess.run([*command, *options[-1:]], env=env, capture_output=True, check=True)
    found: list[str | None] = json.loads(done.stdout)
    return found


def test_the_hash_seed_and_a_probe_of_it() -> None:
    """The seed is the one the process started with, not one set later, and the probe depends on it."""
    five, again = hash_seed("", seed="5"), hash_seed("", seed="5")
    assert five == again and five[0] == "5" and five[2] == "027"
    assert hash_seed("", seed="0")[0] == "0"
    assert hash_seed("set", seed="5") == five
    free = hash_seed("set", seed=None)
    assert free[0] is None and free[1] not in (five[1], hash_seed("", seed=None)[1])
    assert hash_seed("-E", "", seed="5")[0] is None


def test_processors_of_several_kinds() -> None:
    """Model and instruction sets are read in the formats of x86 and ARM."""
    intel = describe_cpu(
        ["model name : Xeon", "flags : fpu avx2 smep sse4_2 fma", "model name : no"]
    )
    assert (intel["model"], intel["instructions"]) == ("Xeon", ["avx2", "fma", "sse4_2"])
    arm = describe_cpu(
        [
            "Features : fp asimd sve2",
            "CPU implementer : 0x41",
            "CPU variant : 0x3",
            "CPU part : 0xd0c",
            "CPU revision : 1",
        ]
    )
    assert (arm["model"], arm["instructions"]) == ("ARM 0x41/0xd0c/0x3/1", ["asimd", "sve2"])
    assert describe_cpu([])["model"] == platform.machine()


def test_gpus_by_the_driver(tmp_path: Path) -> None:
    """GPU, driver, and toolkit are read from NVIDIA's files, or are empty without them."""
    card = tmp_path / "gpus" / "0000:01:00.0"
    card.mkdir(parents=True)
    (tmp_path / "version").write_text(
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024\n"
    )
    (card / "information").write_text("Model: \t\t NVIDIA H100 80GB HBM3\nIRQ:   \t\t 1\n")
    assert describe_gpus(tmp_path) == [{"model": "NVIDIA H100 80GB HBM3", "driver": "550.54.15"}]
    assert describe_gpus(tmp_path / "none") == []
    (tmp_path / "version.json").write_text('{"cuda": {"name": "CUDA SDK", "version": "12.4.1"}}')
    assert cuda_version(tmp_path) == "12.4.1"
    assert cuda_version(tmp_path / "none") is None


FAILING = """
import sys, types
from recorder import record
sys.modules["multiprocessing"] = broken = types.ModuleType("multiprocessing")
def refuse(**options): raise RuntimeError("not now")
broken.get_start_method = refuse

@record(strict=STRICT)
def f():
    return 1

print(f())
"""


def test_what_cannot_be_described_is_a_warning(project: Project) -> None:
    """A library that raises when it is queried causes a warning, and with strict=True an error."""
    project.write("e.py", FAILING.replace("STRICT", "False"))
    assert project.python("e.py").stdout == "1\n"
    (run,) = RunStore(project.root).runs()
    assert run.warnings == (
        "the runtime's start method could not be captured: RuntimeError: not now",
    )
    project.write("e.py", FAILING.replace("STRICT", "True"))
    assert "start method could not be captured" in project.python("e.py", status=1).stderr
    assert len(RunStore(project.root).runs()) == 1


def test_what_torchrun_says_of_one_job_is_left_out() -> None:
    """The variables that torchrun sets per job are not part of the environment, but those for PyTorch are."""
    found = allowed_variables(
        {"TORCHELASTIC_RUN_ID": "x", "TORCH_HOME": "/t", "OMP_NUM_THREADS": "1"}
    )
    assert found == {"TORCH_HOME": "/t", "OMP_NUM_THREADS": "1"}
