"""``recorder -v``: log processes and file access of the store, as Python's audit events report them.

The events come from the interpreter, so no part of recorder can forget to report what it does.
"""

from __future__ import annotations

import logging
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from .output import color_setting

_MAX_LENGTH = 400


class _Handler(logging.Handler):
    """Writes a message as a dim line to stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        click.secho(record.getMessage(), err=True, dim=True, color=color_setting())


def log_to_stderr() -> logging.Logger:
    """Return the logger ``recorder``, whose messages go to stderr from now on.

    They do not propagate: an experiment that runs in this process may have handlers that keep what it logs.
    """
    logger = logging.getLogger("recorder")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    if not any(isinstance(handler, _Handler) for handler in logger.handlers):
        logger.addHandler(_Handler())
    return logger


def narrate(logger: logging.Logger, *, store: Path | None) -> None:
    """Log from now on which processes start, and which files of the store are read, written and removed.

    It lasts as long as the process: an audit hook cannot be removed.
    """
    sys.addaudithook(_Narrator(logger, store).hear)


class _Narrator:
    def __init__(self, logger: logging.Logger, store: Path | None) -> None:
        self._logger = logger
        self._store = None if store is None else f"{store}{os.sep}"
        self._started = time.perf_counter()
        self._lines: set[str] = set()
        self._is_logging = False

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Log an audit event; ignore the events that logging itself causes."""
        describe = _EVENTS.get(event)
        if describe is None or self._is_logging:
            return
        self._is_logging = True
        try:
            for line in describe(self, *arguments):
                self._log(line)
        finally:
            self._is_logging = False

    def _log(self, line: str) -> None:
        if line not in self._lines:  # a file that is read in pieces is logged once
            self._lines.add(line)
            elapsed_ms = (time.perf_counter() - self._started) * 1e3
            self._logger.info("%6.0f ms  %s", elapsed_ms, line)

    def _inside(self, path: Any) -> str | None:
        """Return the path relative to the store, None for a path elsewhere."""
        if self._store is None or not isinstance(path, str | bytes | os.PathLike):
            return None
        name = os.fsdecode(path)
        return name[len(self._store) :] if name.startswith(self._store) else None

    def opened(self, path: Any, mode: Any, flags: Any) -> Iterator[str]:
        """Describe the audit event ``open``."""
        name = self._inside(path)
        if name is not None:
            # A file opened for both, as the journal and locks are, is not necessarily written to.
            verb = "writes" if flags & os.O_WRONLY else "opens" if flags & os.O_RDWR else "reads"
            yield f"{verb} {name}"

    def started(self, program: Any, arguments: Any, cwd: Any, env: Any) -> Iterator[str]:
        """Describe the audit event ``subprocess.Popen``."""
        words = [arguments] if isinstance(arguments, str | bytes) else list(arguments)
        yield f"runs {_line(words)}"

    def replaced(self, program: Any, arguments: Any, env: Any) -> Iterator[str]:
        """Describe the audit event ``os.exec``."""
        yield f"restarts as {_line(arguments)}"

    def removed(self, path: Any, *_: Any) -> Iterator[str]:
        """Describe the audit events ``os.remove`` and ``shutil.rmtree``."""
        name = self._inside(path)
        if name is not None:
            yield f"removes {name}"


def _line(words: Iterable[Any]) -> str:
    line = " ".join(shlex.join(map(os.fsdecode, words)).split())
    return line if len(line) <= _MAX_LENGTH else f"{line[:_MAX_LENGTH]}…"


_EVENTS: dict[str, Callable[..., Iterator[str]]] = {
    "open": _Narrator.opened,
    "subprocess.Popen": _Narrator.started,
    "os.exec": _Narrator.replaced,
    "os.remove": _Narrator.removed,
    "shutil.rmtree": _Narrator.removed,
}
