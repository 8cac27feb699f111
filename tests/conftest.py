"""Fixtures and settings for all tests."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile
import threading
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from project import Project

# No deadline: the machine may be busy.
settings.register_profile("any speed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any speed")
# The caller's environment must not influence the tests.
for _name in ("RECORDER_STORE", "PYTHONHASHSEED", "GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"):
    os.environ.pop(_name, None)
# A shell without job control ignores SIGINT and SIGQUIT in background processes, and nohup ignores SIGHUP. Child
# processes inherit that, so tests that send these signals would wait forever.
if os.name != "nt" and threading.current_thread() is threading.main_thread():
    for _number, _handler in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGQUIT, signal.SIG_DFL),
        (signal.SIGHUP, signal.SIG_DFL),
    ):
        if signal.getsignal(_number) is signal.SIG_IGN:
            signal.signal(_number, _handler)
# Tests use a temporary key, never the user's.
_keys = tempfile.mkdtemp(prefix="recorder-key-")
atexit.register(shutil.rmtree, _keys, ignore_errors=True)
os.environ["RECORDER_KEY_FILE"] = f"{_keys}/key"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test marked `torch` if PyTorch is not installed: the extra `test` leaves it out, because it is large."""
    marker = item.get_closest_marker("torch")
    if marker is not None and marker.kwargs.get("needed", True) and find_spec("torch") is None:
        pytest.skip("PyTorch is not installed")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty project in a folder without a repository."""
    root = tmp_path / "project"
    root.mkdir()
    return Project(root)
