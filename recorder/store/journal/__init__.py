"""The append-only journal under TinyDB: `TinyDB(path, storage=recorder.store.journal.JournalStorage)`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .table import Journal, JournalStorage, JournalTable

__all__ = ["Journal", "JournalStorage", "JournalTable"]


def __getattr__(name: str) -> Any:
    # `from recorder import record` imports this package, but must not load TinyDB.
    if name in __all__:
        from . import table

        return getattr(table, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
