"""Runs on their way from one store to another: a zip file, and what in it is refused.

::

    recorder-export.json     {"kind": "recorder export", "format": 1, "store": "<id>", "runs": 3}
    runs.jsonl               the records, lines as in a journal
    objects/ab/cdef...       objects under their digests
    code.pack                a git pack with the snapshots

A zip comes from anywhere. So nothing in it is believed: names outside this list, links, entries that overlap, texts
too long, and bytes that are not what their name says are refused before anything of it is visible in a store.
"""

from __future__ import annotations

import json
import re
import stat
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, BinaryIO

import msgspec

from ...digest import PREFIX
from ...errors import TransferError
from ...records import FORMAT, ID_LENGTH, Record
from ..journal.lines import make_line, read_document

MANIFEST = "recorder-export.json"
RUNS = "runs.jsonl"
CODE = "code.pack"
_KIND = "recorder export"
_OBJECT = re.compile("objects/([0-9a-f]{2})/([0-9a-f]{62})")
_ID = re.compile(f"[0-9a-z]{{{ID_LENGTH}}}")
# A record of the largest kind has some 100 kB; all of a hundred thousand runs have 250 MB.
_MOST_RECORD_BYTES = 1 << 30
_MANIFEST_BYTES = 1 << 16
# Deflate makes at most 1,032 bytes of one: an archive that grows more than this, and to more than that, is looked at
# with suspicion. (A checkpoint of zeros may be one: `most_bytes` lets it in.)
_SUSPECT_GROWTH = 200
_SUSPECT_BYTES = 1 << 30

_DATE = (1980, 1, 1, 0, 0, 0)  # the same runs make the same zip
_SAMPLE_BYTES = 1 << 16
_CHUNK_BYTES = 1 << 20


class ArchiveWriter:
    """Writes an export into the open file; `close` ends it."""

    def __init__(self, file: BinaryIO) -> None:
        self._zip = zipfile.ZipFile(file, "w", allowZip64=True)

    def add_manifest(self, *, store: str, runs: int) -> None:
        """What the archive is: the id of the store that it comes from, and how many runs it holds."""
        said = {"kind": _KIND, "format": FORMAT, "store": store, "runs": runs}
        self._zip.writestr(_info(MANIFEST), json.dumps(said) + "\n")

    def add_records(self, records: Iterable[Record]) -> None:
        """The records, one line each."""
        with self._zip.open(_info(RUNS), "w", force_zip64=True) as file:
            for record in records:
                file.write(make_line("runs", record.number, record.to_document()))

    def add_object(self, digest: str, stream: BinaryIO) -> Iterator[bytes]:
        """An object; yields the bytes as they are written, to be digested."""
        hexes = digest.removeprefix(PREFIX)
        sample = stream.read(_SAMPLE_BYTES)
        info = _info(f"objects/{hexes[:2]}/{hexes[2:]}", compress=_is_compressible(sample))
        with self._zip.open(info, "w", force_zip64=True) as file:
            chunk = sample
            while chunk:
                file.write(chunk)
                yield chunk
                chunk = stream.read(_CHUNK_BYTES)

    def add_code(self, pack: bytes) -> None:
        """The pack of the snapshots."""
        self._zip.writestr(_info(CODE, compress=False), pack)

    def close(self) -> None:
        """Write the directory of the zip."""
        self._zip.close()


def _info(name: str, *, compress: bool = True) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, date_time=_DATE)
    info.compress_type = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    info.external_attr = (stat.S_IFREG | 0o644) << 16
    return info


def _is_compressible(sample: bytes) -> bool:
    return len(zlib.compress(sample, 1)) < 0.9 * len(sample)


class ArchiveReader:
    """Reads the export in the file at `path`. Raises TransferError for anything that no export is.

    With `most_bytes` what is in it may be that large, unpacked; by default 1 GiB, or 200 times the archive.
    """

    def __init__(self, path: Path, *, most_bytes: int | None = None) -> None:
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
            raise TransferError(
                f"{path} is no zip file that can be read: {error}", path=path
            ) from error
        self._entries = self._checked(most_bytes)
        self.store_id = self._read_manifest()

    def __enter__(self) -> ArchiveReader:
        return self

    def __exit__(self, *error: object) -> None:
        self._zip.close()

    def _refuse(self, why: str) -> TransferError:
        return TransferError(f"{self.path} is refused: {why}", path=self.path)

    def _checked(self, most_bytes: int | None) -> dict[str, zipfile.ZipInfo]:
        entries: dict[str, zipfile.ZipInfo] = {}
        size = self.path.stat().st_size
        for info in self._zip.infolist():
            name = info.orig_filename
            if name not in (MANIFEST, RUNS, CODE) and not _OBJECT.fullmatch(name):
                raise self._refuse(f"it holds {name!r}, which no export does")
            if name in entries:
                raise self._refuse(f"it holds {name} twice")
            if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
                raise self._refuse(f"{name} is a link or a device")
            if info.flag_bits & 0x1:
                raise self._refuse(f"{name} is encrypted")
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise self._refuse(f"{name} is compressed in a way that no export is")
            entries[name] = info
        for name in (MANIFEST, RUNS):
            if name not in entries:
                raise self._refuse(f"it holds no {name}, as an export does")
        # Entries that share their bytes (https://www.bamsoftware.com/hacks/zipbomb/) add up to more than the file.
        if sum(info.compress_size for info in entries.values()) > size:
            raise self._refuse("its entries overlap")
        total = sum(info.file_size for info in entries.values())
        most = most_bytes if most_bytes is not None else max(_SUSPECT_BYTES, _SUSPECT_GROWTH * size)
        if total > most:
            raise self._refuse(
                f"it would unpack to {total} bytes, from {size}: if that is right, allow it with --max-bytes {total}"
            )
        return entries

    def _read_manifest(self) -> str:
        text = self._read(MANIFEST, most=_MANIFEST_BYTES)
        try:
            said = json.loads(text)
            kind, format, store = said["kind"], said["format"], said["store"]
        except (ValueError, KeyError, TypeError) as error:
            raise self._refuse(f"its {MANIFEST} is none: {error}") from error
        if kind != _KIND or not isinstance(format, int) or not isinstance(store, str):
            raise self._refuse(f"its {MANIFEST} is none")
        if not _ID.fullmatch(store):
            raise self._refuse("the id of its store is none")
        if format > FORMAT:
            raise TransferError(
                f"{self.path} has format {format}, this version of recorder reads up to {FORMAT}: upgrade with"
                " `pip install -U run-recorder`",
                path=self.path,
            )
        return store

    def records(self) -> list[Record]:
        """The records. Raises TransferError where one is damaged or none, or two have one id."""
        found: dict[str, Record] = {}
        lines = self._read(RUNS, most=_MOST_RECORD_BYTES).splitlines(keepends=True)
        for number, line in enumerate(lines, 1):
            try:
                record = Record.from_document(read_document(line))
            except (ValueError, msgspec.MsgspecError) as error:
                raise self._refuse(f"line {number} of its {RUNS} is no record: {error}") from error
            if not _ID.fullmatch(record.id):
                raise self._refuse(f"the id of run {record.number} is none: {record.id!r}")
            if record.id in found:
                raise self._refuse(f"two of its runs have the id {record.id}")
            found[record.id] = record
        return list(found.values())

    def has(self, digest: str) -> bool:
        """Whether the object is there."""
        return _name(digest) in self._entries

    def open(self, digest: str) -> IO[bytes]:
        """The object's bytes; at most as many as the archive says, or BadZipFile while reading."""
        return self._zip.open(self._entries[_name(digest)])

    def objects(self) -> set[str]:
        """The digests of the objects."""
        found = (_OBJECT.fullmatch(name) for name in self._entries)
        return {f"{PREFIX}{match[1]}{match[2]}" for match in found if match is not None}

    def pack(self, trees: Iterable[str]) -> IO[bytes] | None:
        """The pack of the snapshots, None where there is none."""
        return self._zip.open(CODE) if CODE in self._entries else None

    def _read(self, name: str, *, most: int) -> bytes:
        if self._entries[name].file_size > most:
            raise self._refuse(f"its {name} is too large")
        try:
            return self._zip.read(name)
        except (zipfile.BadZipFile, OSError, EOFError, msgspec.MsgspecError) as error:
            raise self._refuse(f"its {name} is damaged: {error}") from error


def _name(digest: str) -> str:
    hexes = digest.removeprefix(PREFIX)
    return f"objects/{hexes[:2]}/{hexes[2:]}"
