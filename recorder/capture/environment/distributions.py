"""The metadata of installed distributions: METADATA, RECORD, and direct_url.json."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from ...records import JSON
from ...secrets.urls import without_credentials

if TYPE_CHECKING:
    from importlib.metadata import Distribution as Metadata

_MODULE = re.compile(r"([^.\s]+)(?:\.[\w-]+)*\.(?:py|so|pyd)$")
_REQUIREMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class Distribution(msgspec.Struct, frozen=True, omit_defaults=True):
    """An installed distribution: its normalized name (PEP 503), its version, its modules, and its requirements.

    `source` describes an origin other than a package index (`url`, `commit`, `vcs`, `subdirectory`, `editable`,
    `sha256`). `requires` are names only.
    """

    name: str
    version: str
    source: dict[str, Any] = {}
    modules: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()

    @property
    def editable(self) -> str | None:
        """The folder of an editable install, or None."""
        url = str(self.source.get("url", ""))
        if not self.source.get("editable") or not url.startswith("file://"):
            return None
        from urllib.parse import unquote, urlsplit

        return unquote(urlsplit(url).path)


def scan(folder: str) -> tuple[Distribution, ...]:
    """Return the distributions with metadata in the folder (or zip file) of sys.path."""
    found = (read(distribution) for distribution in _find(folder))
    return tuple(distribution for distribution in found if distribution is not None)


def _find(folder: str) -> Iterator[Metadata]:
    # Sorted by name. importlib.metadata is not used for the listing, because it caches it by modification time.
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
    """Read a distribution's metadata. Return None for a folder without a name. Damaged files are ignored."""
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
        name=normalize(name),
        version=version,
        source=source,
        modules=() if source.get("editable") else _modules(distribution),
        requires=tuple(dict.fromkeys(filter(None, map(name_of, requires)))),
    )


def normalize(name: str) -> str:
    """Return the normalized name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def name_of(requirement: str) -> str | None:
    """Return the normalized name in a requirement (PEP 508), or None if it is invalid."""
    found = _REQUIREMENT.match(requirement)
    return normalize(found[0]) if found else None


def _text(distribution: Metadata, name: str) -> str:
    try:
        return distribution.read_text(name) or ""
    except (OSError, ValueError):  # not readable, or not UTF-8
        return ""


def _metadata(distribution: Metadata) -> str:
    """Return the first metadata file that exists. An .egg-info can be the file itself."""
    return next(filter(None, (_text(distribution, n) for n in ("METADATA", "PKG-INFO", ""))), "")


def _headers(text: str) -> Iterator[tuple[str, str]]:
    """Yield the headers with lowercase keys. The description below them is long, and is skipped."""
    for line in text.partition("\n\n")[0].splitlines():
        key, colon, value = line.partition(":")
        if colon and not line[:1].isspace():
            yield key.lower(), value.strip()


def describe_source(text: str) -> dict[str, JSON]:
    """Describe the source of a distribution that is not from a package index (PEP 610, direct_url.json)."""
    try:
        direct: dict[str, Any] = json.loads(text) if text else {}
        if not direct.get("url"):
            return {}
        found: dict[str, JSON] = {"url": without_credentials(str(direct["url"]))}
        if direct.get("dir_info", {}).get("editable"):
            found["editable"] = True
        if "vcs_info" in direct:
            found["commit"] = direct["vcs_info"].get("commit_id")
            found["vcs"] = direct["vcs_info"].get("vcs", "git")
        if direct.get("subdirectory"):
            found["subdirectory"] = direct["subdirectory"]
        digest = archive_sha256(direct)
        return {**found, "sha256": digest} if digest else found
    except (ValueError, AttributeError):  # not JSON, or not in the shape of PEP 610
        return {}


def archive_sha256(direct: Mapping[str, Any]) -> str | None:
    """Return the archive's SHA-256 from a PEP 610 description. pip before 23.1 writes it as ``hash``."""
    archive = direct.get("archive_info") or {}
    name, _, digest = str(archive.get("hash") or "").partition("=")
    return (archive.get("hashes") or {}).get("sha256") or (digest if name == "sha256" else None)


def _modules(distribution: Metadata) -> tuple[str, ...]:
    """Return the modules that show that a distribution was imported: outermost packages, and modules.

    For a namespace shared by several distributions, these are the packages in it: `google.protobuf`, not `google`.
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
    """Return the top-level packages, and the lines of files outside them.

    Lines are not processed one by one: PyTorch lists 12,000 files, which took 0.2 s in the first run of a store.
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
    """Drop the lines that begin with `start`, which includes the preceding line end. They are mostly adjacent."""
    first = listed.find(start)
    end = listed.index("\n", listed.rfind(start) + 1)
    if listed.count(start, first, end) == listed.count("\n", first, end):
        return listed[:first] + listed[end:]
    return "\n".join(line for line in listed.split("\n") if not line.startswith(start[1:]))


def _outermost(folder: str, stem: str, packages: set[str]) -> str:
    """Return the path of the outermost package that contains the file, or of the file's own module."""
    end = folder.find("/")
    while end >= 0:
        if folder[:end] in packages:
            return folder[:end]
        end = folder.find("/", end + 1)
    if folder in packages:
        return folder
    return f"{folder}/{stem}".strip("/")
