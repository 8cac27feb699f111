"""The environment and the process, as they are, without what is nobody's business."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import pytest

from recorder.capture import environment
from recorder.capture.environment import (
    allowed_variables,
    describe_environment,
    describe_process,
    find_packages,
)
from recorder.capture.usage import Meter


def test_the_environment_is_plain_json_and_true() -> None:
    """Interpreter, platform and packages are those of this process, and JSON can say them."""
    found = describe_environment()
    assert json.loads(json.dumps(found)) == found
    assert found["python"]["version"] == platform.python_version()
    assert found["platform"]["system"] == platform.system()
    assert (
        found["packages"]["numpy"]["version"]
        == sys.modules.get("numpy", __import__("numpy")).__version__
    )
    assert found["platform"]["cpu"]["count"] == os.cpu_count()


def test_it_is_the_same_object_until_something_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same dict is given until a variable that counts, or sys.path, changes."""
    first = describe_environment()
    assert describe_environment() is first
    monkeypatch.setenv("SOMETHING_ELSE", "1")
    assert describe_environment() is first
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    second = describe_environment()
    assert second is not first and second["variables"]["OMP_NUM_THREADS"] == "3"


def test_two_processes_have_the_same_environment() -> None:
    """Nothing in the environment belongs to one process."""
    code = "import json; from recorder.capture.environment import *; print(json.dumps(describe_environment(), sort_keys=True))"
    said = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
        for _ in range(2)
    }
    assert len(said) == 1


def test_the_scan_is_cached_until_something_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The packages are read from the cache, and scanned again when a folder of sys.path has changed."""
    site, cache = tmp_path / "site", tmp_path / "envs"
    info = site / "thing-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: Thing_One\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(str(site))
    first = find_packages(cache=cache)
    assert first["thing-one"] == {"version": "1.0"}
    (file,) = cache.iterdir()
    said = json.loads(file.read_text())
    said["packages"]["thing-one"]["version"] = "from the cache"
    file.write_text(json.dumps(said))
    assert find_packages(cache=cache)["thing-one"]["version"] == "from the cache"
    file.write_text("{ broken")
    assert find_packages(cache=cache) == first
    other = site / "other-2.0.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 2.0\n")
    os.utime(site, (1, 1))
    assert find_packages(cache=cache)["other"] == {"version": "2.0"}


def test_where_a_package_came_from() -> None:
    """PEP 610's direct URL gives the commit and the editable path, without credentials."""
    text = (
        '{"url": "https://user:token@host/x.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}}'
    )
    assert environment._source(text) == {"url": "https://host/x.git", "commit": "abc"}
    assert environment._source('{"url": "file:///x", "dir_info": {"editable": true}}') == {
        "url": "file:///x",
        "editable": True,
    }
    assert environment._source(None) == environment._source("broken") == {}


def test_variables_by_allow_list() -> None:
    """Only variables that decide a computation are taken, and none that looks like a credential."""
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
    """Working directory and import path are relative to the root where they lie in it."""
    (tmp_path / "src").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.syspath_prepend(str(tmp_path / "src"))
    monkeypatch.setenv("PYTHONHASHSEED", "12")
    found = describe_process(root=tmp_path)
    assert (found.cwd, found.cwd_in_root, found.path_in_root[0]) == (
        str(tmp_path / "work"),
        "work",
        "src",
    )
    assert (found.pid, found.argv, found.hash_seed) == (os.getpid(), tuple(sys.argv), "12")
    monkeypatch.setenv("PYTHONHASHSEED", "random")
    outside = describe_process(root=tmp_path / "src")
    assert outside.cwd_in_root is None and outside.hash_seed is None


def test_an_environment_inside_the_project_is_no_part_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The packages of a virtual environment in the project's folder are not the project's import path."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    monkeypatch.syspath_prepend(str(tmp_path / ".venv" / "lib" / "site-packages"))
    assert describe_process(root=tmp_path).path_in_root == ()


def test_usage_is_measured() -> None:
    """Processor time, that of children included, and memory are about what was used."""
    meter = Meter()
    subprocess.run([sys.executable, "-c", "sum(range(3_000_000))"], check=True)
    sum(range(3_000_000))
    usage = meter.stop()
    assert usage.cpu_user_s > 0.02
    assert usage.peak_memory_bytes is None or 10**7 < usage.peak_memory_bytes < 10**11


def test_a_short_run_has_processor_time() -> None:
    """A millisecond of work is measured, where the clock's ticks are ten."""
    meter = Meter()
    start = time.perf_counter()
    while time.perf_counter() - start < 0.001:
        pass
    usage = meter.stop()
    assert 0 < usage.cpu_user_s + usage.cpu_system_s < 1
