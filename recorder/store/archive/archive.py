"""The archive of exported runs: a zip file, its writer, and a reader that trusts nothing in it.

::

    recorder-export.json     {"kind": "recorder export", "format": 1, "store": "<id>", "runs": 3}
    runs.jsonl               the records, lines as in a journal
    objects/ab/cdef...       objects under their digests
    code.pack                a git pack with the snapshots

An archive may come from anywhere. Names outside this list, links, overlapping entries, oversized entries, and content
that does not match its digest are refused before anything becomes visible in a store.
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
# The largest records have about 100 kB; the records of 100,000 runs have 250 MB.
_MOST_RECORD_BYTES = 1 << 30
_MANIFEST_BYTES = 1 << 16
# Deflate expands a byte to at most 1,032: an archive that expands more than this, and to more than that, is refused.
# A checkpoint of zeros may do so: `most_bytes` allows it.
_SUSPECT_GROWTH = 200
_SUSPECT_BYTES = 1 << 30

_DATE = (1980, 1, 1, 0, 0, 0)  # equal runs give an equal zip file
_SAMPLE_BYTES = 1 << 16
_CHUNK_BYTES = 1 << 20


class ArchiveWriter:
    """A writer of an archive to an open file; `close` completes it."""

    def __init__(self, file: BinaryIO) -> None:
        self._zip = zipfile.ZipFile(file, "w", allowZip64=True)

    def add_manifest(self, *, store: str, runs: int) -> None:
        """Write the manifest: the id of the exporting store, and the number of runs."""
        manifest = {"kind": _KIND, "format": FORMAT, "store": store, "runs": runs}
        self._zip.writestr(_info(MANIFEST), json.dumps(manifest) + "\n")

    def add_records(self, records: Iterable[Record]) -> None:
        """Write the records, a line each."""
        with self._zip.open(_info(RUNS), "w", force_zip64=True) as file:
            for record in records:
                file.write(make_line("runs", record.number, record.to_document()))

    def add_object(self, digest: str, stream: BinaryIO) -> Iterator[bytes]:
        """Write an object; yield its chunks as they are written, so that the caller can digest them."""
        hexes = digest.removeprefix(PREFIX)
        sample = stream.read(_SAMPLE_BYTES)
        is_compressible = len(zlib.compress(sample, 1)) < 0.9 * len(sample)
        info = _info(f"objects/{hexes[:2]}/{hexes[2:]}", compress=is_compressible)
        with self._zip.open(info, "w", force_zip64=True) as file:
            chunk = sample
            while chunk:
                file.write(chunk)
                yield chunk
                chunk = stream.read(_CHUNK_BYTES)

    def add_code(self, pack: bytes) -> None:
        """Write the git pack of the snapshots."""
        self._zip.writestr(_info(CODE, compress=False), pack)

    def close(self) -> None:
        """Write the directory of the zip file."""
        self._zip.close()


def _info(name: str, *, compress: bool = True) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, date_time=_DATE)
    info.compress_type = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    info.external_attr = (stat.S_IFREG | 0o644) << 16
    return info


class ArchiveReader:
    """A reader of the archive at `path`. Raises TransferError for anything that an export does not contain.

    `most_bytes` limits the unpacked size; by default 1 GiB, or 200 times the size of the archive if that is more.
    """

    def __init__(self, path: Path, *, most_bytes: int | None = None) -> None:
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
            raise TransferError(
                f"{path} cannot be read as a zip file: {error}", path=path
            ) from error
        self._entries = self._checked(most_bytes)
        self.store_id = self._read_manifest()

    def __enter__(self) -> ArchiveReader:
        return self

    def __exit__(self, *error: object) -> None:
        self._zip.close()

    def _refuse(self, why: str) -> TransferError:
        return TransferError(f"cannot import {self.path}: {why}", path=self.path)

    def _checked(self, most_bytes: int | None) -> dict[str, zipfile.ZipInfo]:
        entries: dict[str, zipfile.ZipInfo] = {}
        size = self.path.stat().st_size
        for info in self._zip.infolist():
            name = info.orig_filename
            if name not in (MANIFEST, RUNS, CODE) and not _OBJECT.fullmatch(name):
                raise self._refuse(f"it contains {name!r}, which an export never does")
            if name in entries:
                raise self._refuse(f"it contains {name} twice")
            if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
                raise self._refuse(f"{name} is a link or a device")
            if info.flag_bits & 0x1:
                raise self._refuse(f"{name} is encrypted")
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise self._refuse(f"{name} uses a compression method that an export never does")
            entries[name] = info
        for name in (MANIFEST, RUNS):
            if name not in entries:
                raise self._refuse(f"it lacks the {name} of an export")
        # Entries that share bytes (https://www.bamsoftware.com/hacks/zipbomb/) add up to more than the file.
        if sum(info.compress_size for info in entries.values()) > size:
            raise self._refuse("its entries overlap")
        total = sum(info.file_size for info in entries.values())
        most = most_bytes if most_bytes is not None else max(_SUSPECT_BYTES, _SUSPECT_GROWTH * size)
        if total > most:
            raise self._refuse(
                f"it would expand from {size} to {total} bytes; if you trust it, try:"
                f" --max-bytes {total}"
            )
        return entries

    def _read_manifest(self) -> str:
        text = self._read(MANIFEST, most=_MANIFEST_BYTES)
        try:
            manifest = json.loads(text)
            kind, format, store = manifest["kind"], manifest["format"], manifest["store"]
        except (ValueError, KeyError, TypeError) as error:
            raise self._refuse(f"its {MANIFEST} is invalid: {error}") from error
        if kind != _KIND or not isinstance(format, int) or not isinstance(store, str):
            raise self._refuse(f"its {MANIFEST} is invalid")
        if not _ID.fullmatch(store):
            raise self._refuse("the id of its store is invalid")
        if format > FORMAT:
            raise TransferError(
                f"{self.path} has format {format}, but this version of recorder reads formats up to"
                f" {FORMAT}; try: pip install -U run-recorder",
                path=self.path,
            )
        return store

    def records(self) -> list[Record]:
        """Return the records. Raises TransferError if one is damaged or invalid, or two have the same id."""
        records: dict[str, Record] = {}
        lines = self._read(RUNS, most=_MOST_RECORD_BYTES).splitlines(keepends=True)
        for number, line in enumerate(lines, 1):
            try:
                record = Record.from_document(read_document(line))
            except (ValueError, msgspec.MsgspecError) as error:
                raise self._refuse(
                    f"line {number} of its {RUNS} is not a record: {error}"
                ) from error
            if not _ID.fullmatch(record.id):
                raise self._refuse(f"the id of run {record.number} is invalid: {record.id!r}")
            if record.id in records:
                raise self._refuse(f"two of its runs have the id {record.id}")
            records[record.id] = record
        return list(records.values())

    def has(self, digest: str) -> bool:
        """Return whether the archive contains the object."""
        return _name(digest) in self._entries

    def open(self, digest: str) -> IO[bytes]:
        """Open the object; reading more bytes than its entry declares raises BadZipFile."""
        return self._zip.open(self._entries[_name(digest)])

    def objects(self) -> set[str]:
        """Return the digests of the objects."""
        matches = (_OBJECT.fullmatch(name) for name in self._entries)
        return {f"{PREFIX}{match[1]}{match[2]}" for match in matches if match is not None}

    def pack(self, trees: Iterable[str]) -> IO[bytes] | None:
        """Open the git pack of the snapshots, None if there is none."""
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
