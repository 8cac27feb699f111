"""Reads what pip and its like have left of each installed distribution: METADATA, RECORD, direct_url.json."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from ...records import JSON
from ...secrets.urls import without_credentials

if TYPE_CHECKING:
    from importlib.metadata import Distribution as Metadata

_MODULE = re.compile(r"([^.\s]+)(?:\.[\w-]+)*\.(?:py|so|pyd)$")
_REQUIREMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class Distribution(msgspec.Struct, frozen=True, omit_defaults=True):
    """An installed distribution: its normalised name (PEP 503), its source where that is no index (`url`, `commit`,
    `vcs`, `subdirectory`, `editable`, `sha256`), the modules that it brings, and the names of what it requires.
    """

    name: str
    version: str
    source: dict[str, Any] = {}
    modules: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()

    @property
    def editable(self) -> str | None:
        """The folder of an editable install, else None."""
        url = str(self.source.get("url", ""))
        if not self.source.get("editable") or not url.startswith("file://"):
            return None
        from urllib.parse import unquote, urlsplit

        return unquote(urlsplit(url).path)


def scan(folder: str) -> tuple[Distribution, ...]:
    """The distributions whose metadata lies in the folder (or zip file) of sys.path."""
    found = (read(distribution) for distribution in _find(folder))
    return tuple(distribution for distribution in found if distribution is not None)


def _find(folder: str) -> Iterator[Metadata]:
    """In the order of their names. importlib.metadata is not asked what there is: it remembers that by the time."""
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208 - a folder of data may hold very many
    except NotADirectoryError:
        names = None  # a zip file
    except OSError:
        return
    if names is None or folder.endswith(".egg"):
        from importlib.metadata import distributions  # takes 15 ms

        yield from distributions(path=[folder])
        return
    for name in names:
        if name.endswith((".dist-info", ".egg-info")):
            from importlib.metadata import Distribution as Metadata

            yield Metadata.at(os.path.join(folder, name))  # noqa: PTH118 - as it is on sys.path


def read(distribution: Metadata) -> Distribution | None:
    """What its files say; None for a folder that names no distribution. A file that is damaged says nothing."""
    head = dict[str, str]()
    requires = []
    for key, value in _headers(_metadata(distribution)):
        head.setdefault(key, value)
        if key == "requires-dist" and "extra ==" not in value:
            requires.append(value)
    name, version = head.get("name"), head.get("version", "")
    if not name:
        return None
    source = describe_source(_text(distribution, "direct_url.json"))
    return Distribution(
        name=normalise(name),
        version=version,
        source=source,
        modules=() if source.get("editable") else _modules(distribution),
        requires=tuple(dict.fromkeys(_required(requires))),
    )


def normalise(name: str) -> str:
    """The name as PEP 503 has it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def name_of(requirement: str) -> str | None:
    """The normalised name of what is required (PEP 508); None for what is no requirement."""
    found = _REQUIREMENT.match(requirement)
    return normalise(found[0]) if found else None


def _required(requirements: Iterable[str]) -> Iterator[str]:
    yield from filter(None, map(name_of, requirements))


def _text(distribution: Metadata, name: str) -> str:
    try:
        return distribution.read_text(name) or ""
    except (OSError, ValueError):  # not readable, or no UTF-8
        return ""


def _metadata(distribution: Metadata) -> str:
    """The first file of metadata that there is; an .egg-info may be the file itself."""
    return next(filter(None, (_text(distribution, n) for n in ("METADATA", "PKG-INFO", ""))), "")


def _headers(text: str) -> Iterator[tuple[str, str]]:
    """The headers' keys in lower case and values; the description below them is long, and not gone through."""
    for line in text.partition("\n\n")[0].splitlines():
        key, colon, value = line.partition(":")
        if colon and not line[:1].isspace():
            yield key.lower(), value.strip()


def describe_source(text: str) -> dict[str, JSON]:
    """Where a distribution came from, when from no index: PEP 610, direct_url.json."""
    try:
        said: dict[str, Any] = json.loads(text) if text else {}
        if not said.get("url"):
            return {}
        found: dict[str, JSON] = {"url": without_credentials(str(said["url"]))}
        if said.get("dir_info", {}).get("editable"):
            found["editable"] = True
        if "vcs_info" in said:
            found["commit"] = said["vcs_info"].get("commit_id")
            found["vcs"] = said["vcs_info"].get("vcs", "git")
        if said.get("subdirectory"):
            found["subdirectory"] = said["subdirectory"]
        digest = archive_sha256(said)
        return {**found, "sha256": digest} if digest else found
    except (ValueError, AttributeError):  # no JSON, or another shape than PEP 610's
        return {}


def archive_sha256(said: Mapping[str, Any]) -> str | None:
    """The digest of the archive that a description of PEP 610's form names; pip before 23.1 says it in one word."""
    archive = said.get("archive_info") or {}
    name, _, digest = str(archive.get("hash") or "").partition("=")
    return (archive.get("hashes") or {}).get("sha256") or (digest if name == "sha256" else None)


def _modules(distribution: Metadata) -> tuple[str, ...]:
    """The modules by which to tell that a distribution was imported: its packages, outermost first, and modules.

    Of a namespace that several distributions share it is the packages inside: `google.protobuf`, not `google`.
    """
    listed = _text(distribution, "RECORD")
    if not listed:
        return tuple(sorted(set(_text(distribution, "top_level.txt").split())))
    tops, listed = _without_packages(f"\n{listed}\n")
    found = {top: None for top in tops if top.isidentifier()}
    paths = [line.partition(",")[0].strip('"') for line in listed.splitlines()]
    packages = {path[: -len("/__init__.py")] for path in paths if path.endswith("/__init__.py")}
    for path in paths:
        match = _MODULE.match(path.rpartition("/")[2])
        if match:
            name = _outermost(path.rpartition("/")[0], match[1], packages)
            if all(part.isidentifier() for part in name.split("/")):
                found[name.replace("/", ".")] = None
    return tuple(sorted(found))


def _without_packages(listed: str) -> tuple[set[str], str]:
    """The packages of the first rank, and the lines of what lies in none of them.

    No line by itself: PyTorch lists 12,000 files, and a first run of a store took 0.2 s for them.
    """
    tops = set()
    for found in re.finditer("/__init__.py,", listed):
        top = listed[listed.rfind("\n", 0, found.start()) + 1 : found.start()]
        if "/" not in top:
            tops.add(top)
    for top in tops:
        listed = _without_folder(listed, f"\n{top}/")
    return tops, listed


def _without_folder(listed: str, start: str) -> str:
    """The lines but those that begin with `start`, a line's end itself, which mostly follow each other."""
    first = listed.find(start)
    end = listed.index("\n", listed.rfind(start) + 1)
    if listed.count(start, first, end) == listed.count("\n", first, end):
        return listed[:first] + listed[end:]
    return "\n".join(line for line in listed.split("\n") if not line.startswith(start[1:]))


def _outermost(folder: str, stem: str, packages: set[str]) -> str:
    """The path of the outermost package that holds the file, else of the file's own module."""
    end = folder.find("/")
    while end >= 0:
        if folder[:end] in packages:
            return folder[:end]
        end = folder.find("/", end + 1)
    if folder in packages:
        return folder
    return f"{folder}/{stem}".strip("/")
