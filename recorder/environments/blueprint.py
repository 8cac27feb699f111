"""What an environment is to be rebuilt from: a Python, requirements, and what cannot be had or is left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from ..digest import PREFIX, digest_json
from ..records import Part, Record
from ..store.store import RunStore
from .pythons import Python, find_python
from .requirements import Requirement, find_requirements

RECORDER = "run-recorder"
# What installs, and is imported by no experiment.
_INSTALLERS = ("pip", "uv")


class Blueprint(Part, frozen=True):
    """The Python that makes the environment, with its version; the lines of a requirements file.

    `added` are requirements of recorder's own that the recorded environment does not have. `notes` say what comes out
    otherwise than recorded, `missing` what cannot be had, and what to do about it. `environment` is the object that
    the rebuilt one should describe.
    """

    python: str
    version: str
    lines: tuple[str, ...]
    added: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    environment: Mapping[str, Any] = {}

    @property
    def key(self) -> str:
        """What tells one environment from another: the name of its folder."""
        said = [self.python, self.version, self.lines, self.added]
        return digest_json("rebuilt environment", said)[len(PREFIX) :][:32]


def draw(store: RunStore, record: Record) -> Blueprint:
    """The blueprint of a run's environment. Nothing is asked of an index yet."""
    if record.environment is None:
        missing = "its environment was not recorded: replay it with --env PATH"
        return Blueprint(python="", version="", lines=(), missing=(missing,))
    said: dict[str, Any] = msgspec.json.decode(store.read(record.environment))
    python, lacks = _python(said)
    drawn = [_judge(one, record) for one in find_requirements(said)]
    lines = tuple(line for line, _, _ in drawn if line)
    named = set(said.get("packages") or {})
    return Blueprint(
        python="" if python is None else python.path,
        version="" if python is None else python.version,
        lines=lines,
        added=tuple(_own_requirements(named)),
        notes=(*_other_python(said, python), *(note for _, note, _ in drawn if note)),
        missing=(*lacks, *(lack for _, _, lack in drawn if lack)),
        environment=said,
    )


def _python(said: Mapping[str, Any]) -> tuple[Python | None, list[str]]:
    recorded = said.get("python") or {}
    version, kind = str(recorded.get("version") or ""), recorded.get("implementation", "CPython")
    if kind != "CPython":
        return None, [
            f"it ran with {kind} {version}: make an environment with it, and replay with --env PATH"
        ]
    found = find_python(version)
    if found is None:
        minor = ".".join(version.split(".")[:2])
        return None, [
            f"there is no Python {minor} on this machine: install it (`uv python install {minor}`, `pyenv install"
            f" {minor}`), or replay with --env PATH"
        ]
    return found, []


def _other_python(said: Mapping[str, Any], python: Python | None) -> Iterator[str]:
    recorded = str((said.get("python") or {}).get("version") or "")
    if python is not None and python.version != recorded:
        yield f"it is rebuilt with Python {python.version}, not {recorded}, which is not on this machine"


def _judge(one: Requirement, record: Record) -> tuple[str, str, str]:
    """The requirement's line, a note on it, and why it cannot be had; each "" where there is none."""
    if one.name == RECORDER or one.name in _INSTALLERS:
        return "", "", ""
    if one.origin in ("editable", "local"):
        return _judge_local(one, record)
    if one.origin == "index" and not one.version:
        return "", f"{one.name} did not say its version, and is left out", ""
    return one.line, "", ""


def _judge_local(one: Requirement, record: Record) -> tuple[str, str, str]:
    path = Path(unquote(urlsplit(one.url).path))
    if str(path) in _snapshotted(record):
        return "", f"{one.name} is left out: its code comes from the snapshot", ""
    if one.origin == "editable":
        return (
            "",
            f"{one.name} was an editable install that the run had not imported, and is left out",
            "",
        )
    if not path.exists():
        return (
            "",
            "",
            (
                f"{one.name} {one.version} was installed from {path}, which is not there: put it there, or replay with"
                " --env PATH"
            ),
        )
    changed = f"{one.name} is installed from {path} as it is now" if path.is_dir() else ""
    return one.line, changed, ""


def _snapshotted(record: Record) -> Sequence[str]:
    code = record.code
    return () if code is None else (code.root, *(project.root for project in code.projects))


def _own_requirements(named: set[str]) -> Iterator[str]:
    """What this recorder requires and the recorded environment lacks, as it says itself."""
    from importlib.metadata import PackageNotFoundError, requires

    from ..capture.environment.distributions import name_of

    try:
        said = requires(RECORDER) or []
    except PackageNotFoundError:
        return  # found by sys.path: whoever did that has its requirements there
    for requirement in said:
        if "extra ==" not in requirement and name_of(requirement) not in named:
            yield requirement
