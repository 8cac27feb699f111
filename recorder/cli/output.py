"""The terminal that the command line writes to: its colors, and its encoding."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper


def color_setting() -> bool | None:
    """Return False if NO_COLOR is set (https://no-color.org), which click ignores; None leaves it to the terminal."""
    return False if os.environ.get("NO_COLOR") else None


def replace_unencodable() -> None:
    """Print ``?`` for characters that the encoding of stdout lacks, as a Latin-1 terminal's does, instead of failing.

    (stderr never fails: Python writes such characters as escapes there.)
    """
    if isinstance(sys.stdout, TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="replace")


@contextmanager
def strict_encoding() -> Iterator[None]:
    """Undo `replace_unencodable` while an experiment runs in this process: recording must not change its errors."""
    is_replacing = isinstance(sys.stdout, TextIOWrapper) and sys.stdout.errors == "replace"
    stdout = sys.stdout
    if is_replacing:
        stdout.reconfigure(errors="strict")  # type: ignore[union-attr]
    try:
        yield
    finally:
        if is_replacing:
            stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
