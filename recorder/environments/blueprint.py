"""The plan for rebuilding an environment: a Python, requirements, and the packages that are unavailable or left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ..digest import PREFIX, digest_json
from ..records import Part, Record
from .pythons import Python, find_python
from .recorded import RecordedEnvironment
from .requirements import Requirement, find_requirements

RECORDER = "run-recorder"
# Installers, which no experiment imports.
_INSTALLERS = ("pip", "uv")


class Blueprint(Part, frozen=True):
    """An environment to build.

    Attributes:
        python: The path of the Python that creates the environment.
        version: The version of that Python.
        lines: The lines of a requirements file, each pinned.
        added: Requirements of recorder that the recorded environment lacks.
        notes: Ways in which the rebuilt environment differs from the recorded one.
        missing: Packages or Pythons that are unavailable, each with its cure.
        environment: The environment object that the rebuilt environment should have.
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
        """The digest that names the environment's folder."""
        decisive = [self.python, self.version, self.lines, self.added]
        return digest_json("rebuilt environment", decisive)[len(PREFIX) :][:32]


def draw(environment: RecordedEnvironment, record: Record) -> Blueprint:
    """Return the blueprint of a run's environment, without asking a package index."""
    if not environment.is_known:
        missing = "its environment was not recorded; try: --env PATH"
        return Blueprint(python="", version="", lines=(), missing=(missing,))
    python, unavailable = _find_python(environment)
    judged = [_judge(one, record) for one in find_requirements(environment.described)]
    return Blueprint(
        python="" if python is None else python.path,
        version="" if python is None else python.version,
        lines=tuple(line for line, _, _ in judged if line),
        added=tuple(_own_requirements(set(environment.packages))),
        notes=(*_note_python(environment, python), *(note for _, note, _ in judged if note)),
        missing=(*unavailable, *(missing for _, _, missing in judged if missing)),
        environment=environment.described,
    )


def _find_python(environment: RecordedEnvironment) -> tuple[Python | None, list[str]]:
    version, kind = environment.python_version, environment.implementation
    if kind != "CPython":
        return None, [
            f"it ran with {kind} {version}, which recorder cannot install; create an environment with it and use"
            " --env PATH"
        ]
    found = find_python(version)
    if found is None:
        minor = ".".join(version.split(".")[:2])
        return None, [
            f"no Python {minor} on this machine; install it (`uv python install {minor}`, `pyenv install {minor}`) or"
            " use --env PATH"
        ]
    return found, []


def _note_python(environment: RecordedEnvironment, python: Python | None) -> Iterator[str]:
    if python is not None and python.version != environment.python_version:
        yield (
            f"its environment is rebuilt with Python {python.version}: {environment.python_version} is not on this"
            " machine"
        )


def _judge(one: Requirement, record: Record) -> tuple[str, str, str]:
    """Return a requirement's line, a note, and the reason why it is unavailable; "" for each that does not apply."""
    if one.name == RECORDER or one.name in _INSTALLERS:
        return "", "", ""
    if one.origin in ("editable", "local"):
        return _judge_local(one, record)
    if one.origin == "index" and not one.version:
        return "", f"{one.name} is left out: its version was not recorded", ""
    return one.line, "", ""


def _judge_local(one: Requirement, record: Record) -> tuple[str, str, str]:
    path = Path(unquote(urlsplit(one.url).path))
    code = record.code
    if code is not None and str(path) in (code.root, *(project.root for project in code.projects)):
        return "", f"{one.name} is left out: its code comes from the snapshot", ""
    if one.origin == "editable":
        note = f"{one.name} is left out: it was an editable install that the run did not import"
        return "", note, ""
    if not path.exists():
        missing = f"{one.name} {one.version} was installed from {path}, which is gone; restore it or use --env PATH"
        return "", "", missing
    changed = f"{one.name} is installed from the current {path}" if path.is_dir() else ""
    return one.line, changed, ""


def _own_requirements(named: set[str]) -> Iterator[str]:
    """Yield the requirements of this recorder that the recorded environment lacks."""
    from importlib.metadata import PackageNotFoundError, requires

    from ..capture.environment.distributions import name_of

    try:
        requirements = requires(RECORDER) or []
    except PackageNotFoundError:
        return  # imported through sys.path, where its requirements must be too
    for requirement in requirements:
        if "extra ==" not in requirement and name_of(requirement) not in named:
            yield requirement
