"""The environment of a run, decoded once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..records import Part, Record
from ..store.store import RunStore


class RecordedEnvironment(Part, frozen=True):
    """The environment object of a run.

    Attributes:
        described: The object as `recorder.capture.environment` wrote it; {} where a run has none.
        is_known: Whether the run has an environment object.
    """

    described: Mapping[str, Any] = {}
    is_known: bool = False

    @property
    def python_version(self) -> str:
        """The version of Python, ``3.11.7``; "" where it was not recorded."""
        return str((self.described.get("python") or {}).get("version") or "")

    @property
    def implementation(self) -> str:
        """The implementation of Python, ``CPython``."""
        return str((self.described.get("python") or {}).get("implementation") or "CPython")

    @property
    def platform(self) -> Mapping[str, Any]:
        """The operating system, processor, and GPU."""
        return self.described.get("platform") or {}

    @property
    def packages(self) -> Mapping[str, Mapping[str, Any]]:
        """The installed distributions by name."""
        return self.described.get("packages") or {}

    @property
    def variables(self) -> Mapping[str, str]:
        """The recorded environment variables."""
        found = self.described.get("variables") or {}
        return {name: value for name, value in found.items() if isinstance(value, str)}


def load_environment(store: RunStore, record: Record) -> RecordedEnvironment:
    """Read the environment object of a run from the store."""
    if record.environment is None:
        return RecordedEnvironment()
    described: dict[str, Any] = msgspec.json.decode(store.read(record.environment))
    return RecordedEnvironment(described=described, is_known=True)
