"""The packages of an environment as a lock file: PEP 751, https://packaging.python.org/en/latest/specifications/pylock-toml/.

A lock file needs the digests of packages from an index, which a record does not have. pip reports which files it would
install, with its user's configuration, for the recorded version of Python.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ..capture.environment.distributions import archive_sha256, normalize
from ..errors import LockError
from ..secrets.urls import without_credentials
from .pythons import Python, find_python
from .rebuild import lacking_in
from .recorded import RecordedEnvironment
from .requirements import Requirement, find_requirements

# URL and SHA-256.
_File = tuple[str, str]


def lock_lines(environment: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a ``pylock.toml`` for an environment object.

    A package that cannot be locked becomes a comment with the reason.

    Raises:
        LockError: There is no Python of that version on this machine, or pip fails.
    """
    version = RecordedEnvironment(described=environment).python_version
    minor = ".".join(version.split(".")[:2])
    python = find_python(version)
    if python is None:
        raise LockError(
            f"no Python {minor} on this machine, for which pip could choose the files; install it"
        )
    required = find_requirements(environment)
    files = _ask_pip([one for one in required if one.origin == "index" and one.version], python)
    yield 'lock-version = "1.0"'
    yield f"requires-python = {_text(f'=={minor}.*')}"
    yield 'created-by = "run-recorder"'
    lines = [line for one in required for line in _lines(one, files)]
    if "[[packages]]" not in lines:
        yield "packages = []"
    yield from lines


def _lines(one: Requirement, files: Mapping[str, _File]) -> Iterator[str]:
    yield ""
    source = _source(one, files)
    if source is None:
        yield f"# not locked: {one.name} {one.version}{_why(one)}"
        return
    yield "[[packages]]"
    yield f"name = {_text(one.name)}"
    if one.version:
        yield f"version = {_text(one.version)}"
    yield source


def _why(one: Requirement) -> str:
    if one.origin in ("editable", "local"):
        return f", which was installed from {one.url}"
    if one.origin == "index":
        return ", which no index has" if one.version else ", whose version was not recorded"
    return f", whose {'commit' if one.origin == 'vcs' else 'digest'} was not recorded"


def _source(one: Requirement, files: Mapping[str, _File]) -> str | None:
    """Return the TOML key with the package's source, None where the exact source is unknown."""
    inside = f", subdirectory = {_text(one.subdirectory)}" if one.subdirectory else ""
    if one.origin == "vcs" and one.commit:
        place = f"type = {_text(one.vcs)}, url = {_text(one.url)}, commit-id = {_text(one.commit)}"
        return f"vcs = {{ {place}{inside} }}"
    if one.origin == "archive" and one.sha256:
        return f"archive = {{ url = {_text(one.url)}, {_hashes(one.sha256)}{inside} }}"
    if one.origin != "index" or one.name not in files:
        return None
    url, sha256 = files[one.name]
    name = unquote(urlsplit(url).path).rpartition("/")[2]
    file = f"{{ name = {_text(name)}, url = {_text(url)}, {_hashes(sha256)} }}"
    return f"wheels = [{file}]" if name.endswith(".whl") else f"sdist = {file}"


def _hashes(sha256: str) -> str:
    return f"hashes = {{ sha256 = {_text(sha256)} }}"


def _text(value: str) -> str:
    # A JSON string is a TOML string: https://toml.io/en/v1.0.0#string
    return json.dumps(value)


def _ask_pip(required: Sequence[Requirement], python: Python) -> dict[str, _File]:
    """Return the file of each requirement that an index has, by its name."""
    with tempfile.TemporaryDirectory() as folder:
        pinned = Path(folder) / "requirements.txt"
        lines = [one.line for one in required]
        while lines:
            pinned.write_text("\n".join(lines) + "\n", encoding="utf-8")
            done = _report(pinned, python)
            if done.returncode == 0:
                return dict(_files(json.loads(done.stdout)))
            name = lacking_in(done.stderr)
            fewer = [line for line in lines if name is None or not line.startswith(name)]
            if len(fewer) == len(lines):
                last = (done.stderr.strip().splitlines() or ["it printed nothing"])[-1]
                raise LockError(f"pip could not report which files it would install: {last}")
            lines = fewer
    return {}


def _report(pinned: Path, python: Python) -> subprocess.CompletedProcess[str]:
    # pip has `--python` since 22.3.
    quiet = ("--quiet", "--no-input", "--disable-pip-version-check")
    asked = ("--dry-run", "--no-deps", "--ignore-installed", "--report", "-", "-r", str(pinned))
    command = [sys.executable, "-m", "pip", "--python", python.path, "install", *quiet, *asked]
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=env
    )


def _files(report: Mapping[str, Any]) -> Iterator[tuple[str, _File]]:
    for one in report["install"]:
        download = one["download_info"]
        sha256 = archive_sha256(download)
        if sha256:
            name = normalize(one["metadata"]["name"])
            yield name, (without_credentials(download["url"]), sha256)
