"""The inputs of a run's record: the files that it read, kept in the store up to a size limit."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence

from ..capture.files.audit_hook import Reading
from ..records import Input
from ..secrets.filenames import is_secret_file
from ..secrets.register import Secrets, secret_digest
from .project import Captured


class Intake:
    """Takes readings into the store: files of the project, and other files up to `limit_bytes`."""

    def __init__(self, captured: Captured, *, secrets: Secrets, limit_bytes: int) -> None:
        self._captured = captured
        self._secrets = secrets
        self._limit_bytes = limit_bytes
        root = None if captured.project.root is None else os.path.realpath(captured.project.root)
        self._inside = None if root is None else root.rstrip(os.sep) + os.sep

    def take(self, readings: Sequence[Reading]) -> tuple[Input, ...]:
        """Return the inputs, in the order of the readings."""
        found = [(reading, *self._place(reading.path)) for reading in readings]
        wanted = {r.path: r.digest for r, path, inside in found if self._wants(r, path, inside)}
        kept = self._captured.project.store.objects.put_files(wanted)
        return tuple(self._describe(*entry, kept) for entry in found)

    def _place(self, path: str) -> tuple[str, bool]:
        """Return the path to record, and whether it is relative to the root (with slashes).

        Both the readings and the root have their symbolic links resolved.
        """
        known = self._captured.project.known_as(path)
        if self._inside is None or not known.startswith(self._inside):
            return known, False
        return known[len(self._inside) :].replace(os.sep, "/"), True

    def _wants(self, reading: Reading, path: str, inside: bool) -> bool:
        """Return whether the store should keep the bytes, which the snapshot may already have."""
        if is_secret_file(path) or (inside and self._captured.holds(path)):
            return False
        return inside or reading.size_bytes <= self._limit_bytes

    def _describe(self, reading: Reading, path: str, inside: bool, kept: Collection[str]) -> Input:
        digest, secret = reading.digest, is_secret_file(path)
        held = digest in kept or (inside and self._captured.holds(path))
        if secret:  # neither the bytes nor the digest of a credentials file are kept
            digest = secret_digest(digest)
            self._secrets.note(f"inputs.{path}", digest, "its name suggests a secret")
        return Input(
            path=path,
            digest=digest,
            size_bytes=reading.size_bytes,
            in_root=inside,
            stored=held and not secret,
        )
