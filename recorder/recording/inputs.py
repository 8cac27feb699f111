"""The inputs of a run's record: what it read, in the store where that keeps it."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence

from ..capture.files.audit_hook import Reading
from ..records import Input
from ..secrets.filenames import is_secret_file
from ..secrets.register import Secrets, secret_digest
from .project import Setting


class Intake:
    """Takes readings into the store: files of the project, and others up to `limit_bytes`."""

    def __init__(self, setting: Setting, *, secrets: Secrets, limit_bytes: int) -> None:
        self._setting = setting
        self._objects = setting.store.objects
        self._secrets = secrets
        self._limit_bytes = limit_bytes
        root = None if setting.root is None else os.path.realpath(setting.root)
        self._inside = None if root is None else root.rstrip(os.sep) + os.sep

    def take(self, readings: Sequence[Reading]) -> tuple[Input, ...]:
        """The inputs, in the order of the readings."""
        found = [(reading, *self._place(reading.path)) for reading in readings]
        wanted = {r.path: r.digest for r, path, inside in found if self._wants(r, path, inside)}
        kept = self._objects.put_files(wanted)
        return tuple(self._describe(*one, kept) for one in found)

    def _place(self, path: str) -> tuple[str, bool]:
        """The path under which the file is recorded, and whether that is one relative to the root, with slashes.

        Readings have their links resolved, and so has the root.
        """
        known = self._setting.known_as(path)
        if self._inside is None or not known.startswith(self._inside):
            return known, False
        return known[len(self._inside) :].replace(os.sep, "/"), True

    def _wants(self, reading: Reading, path: str, inside: bool) -> bool:
        """Whether the bytes are for the store, and not in the snapshot anyhow."""
        if is_secret_file(path) or (inside and self._setting.holds(path)):
            return False
        return inside or reading.size_bytes <= self._limit_bytes

    def _describe(self, reading: Reading, path: str, inside: bool, kept: Collection[str]) -> Input:
        digest, secret = reading.digest, is_secret_file(path)
        held = digest in kept or (inside and self._setting.holds(path))
        if secret:  # of a file of credentials neither the bytes nor the digest are kept
            digest = secret_digest(digest)
            self._secrets.note(f"inputs.{path}", digest, "its name suggests a secret")
        return Input(
            path=path,
            digest=digest,
            size_bytes=reading.size_bytes,
            in_root=inside,
            stored=held and not secret,
        )
