"""The packages of an environment as pinned requirements, with their sources."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from ..records import Part

# For "index", the installer finds the URL.
Origin = Literal["index", "archive", "vcs", "local", "editable"]


class Requirement(Part, frozen=True):
    """An installed distribution.

    Attributes:
        name: The normalized name.
        version: The version; "" where the distribution does not declare one.
        origin: The kind of source: a package index; an archive at a URL; a version control system; ``local``, a folder
            or file of the recording machine; ``editable``, a working tree, whose files are in the snapshot where the
            run imported them.
        url: The URL of the source; "" for an index.
        commit: The commit that was installed, of a version control system.
        vcs: The name of that system.
        subdirectory: The project's folder inside the source.
        sha256: The SHA-256 of the archive in hexadecimal; "" where it is unknown.
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
        """The line of a requirements file (PEP 508); a comment for a distribution that no such line can install."""
        if self.origin == "editable":
            return f"# {self.name}=={self.version} was an editable install of {self.url}"
        if not self.version and not self.url:
            return f"# the version of {self.name} was not recorded"
        if self.origin == "index":
            return f"{self.name}=={self.version}"
        url = f"{self.vcs}+{self.url}" if self.origin == "vcs" else self.url
        at = f"@{self.commit}" if self.commit else ""
        fields = [("sha256", self.sha256), ("subdirectory", self.subdirectory)]
        parts = "&".join(f"{name}={value}" for name, value in fields if value)
        fragment = f"#{parts}" if parts and "#" not in self.url else ""
        return f"{self.name} @ {url}{at}{fragment}"


def find_requirements(environment: Mapping[str, Any]) -> tuple[Requirement, ...]:
    """Return the requirements of an environment object, sorted by name."""
    packages: Mapping[str, Mapping[str, Any]] = environment.get("packages") or {}
    return tuple(_requirement(name, packages[name]) for name in sorted(packages))


def _requirement(name: str, package: Mapping[str, Any]) -> Requirement:
    return Requirement(
        name=name,
        version=str(package.get("version") or ""),
        origin=_origin(package),
        url=str(package.get("url") or ""),
        commit=str(package.get("commit") or ""),
        vcs=str(package.get("vcs") or "git"),
        subdirectory=str(package.get("subdirectory") or ""),
        sha256=str(package.get("sha256") or ""),
    )


def _origin(package: Mapping[str, Any]) -> Origin:
    if package.get("editable"):
        return "editable"
    if "commit" in package:
        return "vcs"
    url = str(package.get("url") or "")
    if not url:
        return "index"
    return "local" if url.startswith("file:") else "archive"


def requirement_lines(environment: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a requirements file: the Python in a comment, then a line for each package."""
    python = environment.get("python") or {}
    yield f"# {python.get('implementation', 'Python')} {python.get('version', 'version unknown')}"
    yield from (one.line for one in find_requirements(environment))
