"""The inputs of a run's record: what it read, in the store where that keeps it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .capture.inputs import Reading
from .capture.secrets import Secrets, secret_digest
from .capture.sifting import is_secret_file
from .paths import place_in
from .records import Input
from .setting import Setting


class Intake:
    """Takes readings into the store: files of the project, and others up to `limit_bytes`."""

    def __init__(self, setting: Setting, *, secrets: Secrets, limit_bytes: int) -> None:
        self._setting = setting
        self._objects = setting.store.objects
        self._secrets = secrets
        self._limit_bytes = limit_bytes

    def take(self, readings: Sequence[Reading]) -> tuple[Input, ...]:
        """The inputs, in the order of the readings."""
        return tuple(self._inputs(readings))

    def _inputs(self, readings: Sequence[Reading]) -> Iterator[Input]:
        for reading in readings:
            known = self._setting.known_as(str(reading.path))
            place = place_in(known, self._setting.root)
            path = place or known
            yield Input(
                path=path,
                digest=self._digest(reading, path),
                size_bytes=reading.size_bytes,
                in_root=place is not None,
                stored=not is_secret_file(path) and self._keep(reading, place),
            )

    def _digest(self, reading: Reading, path: str) -> str:
        """Of a file of credentials neither the bytes nor the digest are kept."""
        if not is_secret_file(path):
            return reading.digest
        digest = secret_digest(reading.digest)
        self._secrets.note(f"inputs.{path}", digest, "its name is that of a secret")
        return digest

    def _keep(self, reading: Reading, place: str | None) -> bool:
        if self._setting.holds(place):
            return True
        if place is None and reading.size_bytes > self._limit_bytes:
            return False
        if self._objects.has(reading.digest):
            return True
        try:
            digest, _ = self._objects.put_file(reading.path)
        except OSError:
            return False  # read and deleted: its digest is all there is
        return digest == reading.digest
