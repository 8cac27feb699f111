"""The content of an output or input of a run: open it, load it, or write it to a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from ..errors import ContentNotFoundError, DamageError
from ..records import Record
from ..store.content.contents import Found, find_output, found_input, not_found, open_content
from ..store.content.restore import restore
from ..store.store import RunStore
from .values import Values, check_trust

if TYPE_CHECKING:
    from ..store.objects.trees import TreeEntry


class Content:
    """The content of an output or input of a run: a file, a folder or a value.

    >>> weights = run.output("weights.npy")
    >>> weights.load()
    array([0.5, 1.5])
    >>> weights.size_bytes
    144
    >>> with weights.open() as file:
    ...     file.read(6)
    b'\\x93NUMPY'
    """

    def __init__(self, store: RunStore, record: Record, found: Found) -> None:
        self._store = store
        self._record = record
        self._found = found

    @property
    def name(self) -> str:
        """The name of the output, or the path of the input."""
        item = self._found.input
        return self._found.name if item is None else item.path

    @property
    def kind(self) -> Literal["file", "folder", "value"]:
        """The kind of content: ``"file"``, ``"folder"`` or ``"value"``."""
        return self._found.kind

    @property
    def digest(self) -> str:
        """The digest of a file's bytes; empty for a folder or a value."""
        return self._found.digest

    @property
    def size_bytes(self) -> int | None:
        """The size in bytes of a file, or of all files in a folder; None for a value."""
        if self.kind == "value":
            return None
        if self.kind == "folder":
            return sum(entry.size_bytes for entry in self._found.entries)
        item = self._found.input
        return self._store.objects.size(self.digest) if item is None else item.size_bytes

    @property
    def names(self) -> list[str]:
        """The paths of the files in a folder, relative to it: ``run.output("ckpt/" + name)``."""
        return [entry.path for entry in self._entries() if entry.kind == "file"]

    @property
    def path(self) -> Path:
        """The read-only file in the store that holds the bytes; it is named by its digest, not by `name`.

        Raises:
            ContentNotFoundError: The content is a folder, a value, or an input that is part of the code snapshot.
        """
        if self.kind != "file" or not self._store.objects.has(self.digest):
            hint = "load()" if self.kind == "value" else "restore(FOLDER)"
            raise self._error(f"is not a single file in the store; use {hint}")
        return self._store.objects.path(self.digest)

    def open(self) -> BinaryIO:
        """Open a file for reading. The bytes are not checked against the digest. Raises ContentNotFoundError."""
        self._check_file("open()")
        return open_content(self._store, self._record, self._found)

    def read_bytes(self) -> bytes:
        """Return the bytes of a file, not checked against the digest. Raises ContentNotFoundError."""
        with self.open() as file:
            return file.read()

    def read_text(self, encoding: str = "utf-8") -> str:
        """Return a file as a string. Raises ContentNotFoundError, UnicodeDecodeError."""
        return self.read_bytes().decode(encoding)

    def load(self) -> Any:
        """Return the value, or load a file by its format, see `recorder.api.loading`; its digest is verified first.

        Raises:
            TrustError: Loading would unpickle or import code, and somebody else recorded the run; see `Store.trust`.
            DecodeError: The format is unknown, or the file is not valid.
            DamageError: The file in the store is damaged.
            MissingPackageError: The package that reads the format is not installed.
            ContentNotFoundError: The content is a folder.
        """
        if self.kind == "value":
            return Values(self._store, self._record).value(self._found.form)
        self._check_file("load()")
        from .loading import load_file

        objects = self._store.objects
        if objects.has(self.digest) and not objects.verify(self.digest):
            place = objects.path(self.digest)
            raise DamageError(
                f"{self.name} is damaged in the store; for details: recorder check", path=place
            )
        with self.open() as file:
            return load_file(
                file, name=self.name, allow=lambda what: check_trust(self._record, what)
            )

    def restore(self, to: str | os.PathLike[str], *, force: bool = False) -> Path:
        """Write the content into the folder `to` under its name, as ``recorder restore`` does; return the path.

        Args:
            to: The destination folder.
            force: Replace files that are in the way.

        Raises:
            DestinationError: A file is in the way.
            ContentNotFoundError: The content is a value, or is missing.
        """
        kind: Literal["inputs", "outputs"] = "outputs" if self._found.input is None else "inputs"
        done = restore(
            self._store, self._record, Path(to), names=[self.name], kinds=[kind], force=force
        )
        if self.kind == "folder":
            return Path(to) / self.name
        return Path(to) / done.paths[0]

    def _entries(self) -> Iterator[TreeEntry]:
        if self.kind != "folder":
            raise self._error("is not a folder")
        yield from self._found.entries

    def _check_file(self, what: str) -> None:
        if self.kind == "value":
            raise self._error(f"is a value, not a file; use load() instead of {what}")
        if self.kind == "folder":
            raise self._error(f"is a folder; {what} works on its files, which `names` lists")

    def _error(self, message: str) -> ContentNotFoundError:
        return ContentNotFoundError(
            f"{self.name} of run {self._record.number} {message}", name=self.name
        )

    def __repr__(self) -> str:
        size = "" if self.size_bytes is None else f", {self.size_bytes} bytes"
        return f"<{self.name} of run {self._record.number}: a {self.kind}{size}>"


def output_content(store: RunStore, record: Record, name: str) -> Content:
    """Return the content of an output, or of a file in one. Raises ContentNotFoundError."""
    found = find_output(store, record, name)
    if found is None:
        names = [output.name for output in record.outputs]
        raise not_found(f"run {record.number} has no output {name!r}", name, names)
    return Content(store, record, found)


def input_content(store: RunStore, record: Record, path: str) -> Content:
    """Return the content of the input at `path`, or of the only one whose path ends so. Raises ContentNotFoundError."""
    return Content(store, record, found_input(record, path))
