"""What a run has left or read under a name, to be opened, loaded or laid out."""

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
    """An output or an input of a run: a file, a folder or a value. `kind` says which, `digest` names a file's bytes.

    >>> weights = record.output("weights.npy")
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
        """The output's name, or the input's path."""
        item = self._found.input
        return self._found.name if item is None else item.path

    @property
    def kind(self) -> Literal["file", "folder", "value"]:
        """What it is."""
        return self._found.kind

    @property
    def digest(self) -> str:
        """The digest of a file's bytes, "" for a folder and a value."""
        return self._found.digest

    @property
    def size_bytes(self) -> int | None:
        """The bytes of a file, or of all files in a folder; None for a value."""
        if self.kind == "value":
            return None
        if self.kind == "folder":
            return sum(entry.size_bytes for entry in self._found.entries)
        item = self._found.input
        return self._store.objects.size(self.digest) if item is None else item.size_bytes

    @property
    def names(self) -> list[str]:
        """The paths in a folder, each of which `Record.output` takes behind the folder's name."""
        return [entry.path for entry in self._entries() if entry.kind == "file"]

    @property
    def path(self) -> Path:
        """The file with the bytes in the store: read-only, and named by its digest. See `restore` for one of its name.

        Raises ContentNotFoundError for what is no such file: a folder, a value, an input that lies in the snapshot.
        """
        if self.kind != "file" or not self._store.objects.has(self.digest):
            hint = "load()" if self.kind == "value" else "restore(FOLDER) lays it out"
            raise self._error(f"is no file of its own in the store: {hint}")
        return self._store.objects.path(self.digest)

    def open(self) -> BinaryIO:
        """A file's bytes, not checked against their digest. Raises ContentNotFoundError."""
        self._check_file("open()")
        return open_content(self._store, self._record, self._found)

    def read_bytes(self) -> bytes:
        """All bytes of a file, not checked against their digest. Raises ContentNotFoundError."""
        with self.open() as file:
            return file.read()

    def read_text(self, encoding: str = "utf-8") -> str:
        """All of a file as text. Raises ContentNotFoundError, UnicodeDecodeError."""
        return self.read_bytes().decode(encoding)

    def load(self) -> Any:
        """The value, or what a file holds, see `recorder.api.loading`; its bytes are checked first.

        Pickles, and values of classes of one's own, are loaded where the run is one's own, see `Store.trust`. Raises
        TrustError, DecodeError, DamageError, MissingPackageError, ContentNotFoundError.
        """
        if self.kind == "value":
            return Values(self._store, self._record).value(self._found.form)
        self._check_file("load()")
        from .loading import load_file

        objects = self._store.objects
        if objects.has(self.digest) and not objects.verify(self.digest):
            place = objects.path(self.digest)
            raise DamageError(
                f"{self.name} is damaged in the store: see `recorder check`", path=place
            )
        with self.open() as file:
            return load_file(
                file, name=self.name, allow=lambda what: check_trust(self._record, what)
            )

    def restore(self, to: str | os.PathLike[str], *, force: bool = False) -> Path:
        """Lay it out in the folder `to` under its own name, and give that path; see `recorder restore`.

        Raises DestinationError where something is there (with `force` files are replaced), ContentNotFoundError.
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
            raise self._error("is no folder")
        yield from self._found.entries

    def _check_file(self, what: str) -> None:
        if self.kind == "value":
            raise self._error(f"is a value and no file: load() in the place of {what}")
        if self.kind == "folder":
            raise self._error(f"is a folder: {what} takes one of its files, see names")

    def _error(self, message: str) -> ContentNotFoundError:
        return ContentNotFoundError(
            f"{self.name} of run {self._record.number} {message}", name=self.name
        )

    def __repr__(self) -> str:
        size = "" if self.size_bytes is None else f", {self.size_bytes} bytes"
        return f"<{self.name} of run {self._record.number}: a {self.kind}{size}>"


def output_content(store: RunStore, record: Record, name: str) -> Content:
    """The output of that name, or a file in one. Raises ContentNotFoundError."""
    found = find_output(store, record, name)
    if found is None:
        names = [output.name for output in record.outputs]
        raise not_found(f"run {record.number} has no output {name!r}", name, names)
    return Content(store, record, found)


def input_content(store: RunStore, record: Record, path: str) -> Content:
    """The input of that path, or the only one that ends so. Raises ContentNotFoundError."""
    return Content(store, record, found_input(record, path))
