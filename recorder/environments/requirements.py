"""The packages of an environment as requirements: pinned, and where they came from when from no index."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from ..records import Part

# What the record of an index package holds: where it lies is for the installer to find.
Origin = Literal["index", "archive", "vcs", "local", "editable"]


class Requirement(Part, frozen=True):
    """A distribution as it was installed. `url` is where it came from when from no index.

    `origin` is ``local`` for a folder or file of the recording machine, ``editable`` for a project that was
    installed from where somebody works on it: its files are in the snapshot where the run imported them.
    """

    name: str
    version: str
    origin: Origin = "index"
    url: str = ""
    commit: str = ""
    vcs: str = "git"
    subdirectory: str = ""
    sha256: str = ""

    @property
    def line(self) -> str:
        """As a line of a requirements file (PEP 508); a comment for what cannot be installed from one."""
        if self.origin == "editable":
            return f"# {self.name}=={self.version} was an editable install of {self.url}"
        if not self.version and not self.url:
            return f"# {self.name} did not say its version"
        if self.origin == "index":
            return f"{self.name}=={self.version}"
        url = f"{self.vcs}+{self.url}" if self.origin == "vcs" else self.url
        at = f"@{self.commit}" if self.commit else ""
        return f"{self.name} @ {url}{at}{self._fragment}"

    @property
    def _fragment(self) -> str:
        said = [("sha256", self.sha256), ("subdirectory", self.subdirectory)]
        parts = "&".join(f"{name}={value}" for name, value in said if value)
        return f"#{parts}" if parts and "#" not in self.url else ""


def find_requirements(environment: Mapping[str, Any]) -> tuple[Requirement, ...]:
    """Those of an environment object, by name."""
    packages: Mapping[str, Mapping[str, Any]] = environment.get("packages") or {}
    return tuple(_requirement(name, packages[name]) for name in sorted(packages))


def _requirement(name: str, said: Mapping[str, Any]) -> Requirement:
    return Requirement(
        name=name,
        version=str(said.get("version") or ""),
        origin=_origin(said),
        url=str(said.get("url") or ""),
        commit=str(said.get("commit") or ""),
        vcs=str(said.get("vcs") or "git"),
        subdirectory=str(said.get("subdirectory") or ""),
        sha256=str(said.get("sha256") or ""),
    )


def _origin(said: Mapping[str, Any]) -> Origin:
    if said.get("editable"):
        return "editable"
    if "commit" in said:
        return "vcs"
    url = str(said.get("url") or "")
    if not url:
        return "index"
    return "local" if url.startswith("file:") else "archive"


def requirement_lines(environment: Mapping[str, Any]) -> Iterator[str]:
    """A requirements file: the Python in a comment, then a line for each package."""
    python = environment.get("python") or {}
    yield f"# {python.get('implementation', 'Python')} {python.get('version', 'of an unknown version')}"
    yield from (one.line for one in find_requirements(environment))
