"""``recorder -v``: what happens, line by line on stderr, as Python's own audit events tell it.

They are the truth: no part of recorder has to say what it does, and none can forget to.
"""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

_LONGEST = 400


def narrate(say: Callable[[str], None], *, store: Path | None) -> None:
    """From now on say which processes are started, and what is read, written and removed in the store.

    It lasts as long as the process: an audit hook cannot be taken away.
    """
    narrator = _Narrator(say, store)
    sys.addaudithook(narrator.hear)


class _Narrator:
    def __init__(self, say: Callable[[str], None], store: Path | None) -> None:
        self._say = say
        self._store = None if store is None else f"{store}{os.sep}"
        self._started = time.perf_counter()
        self._said: set[str] = set()
        self._is_speaking = False

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Take note of an audit event; what it leads to itself is none."""
        tell = _EVENTS.get(event)
        if tell is None or self._is_speaking:
            return
        self._is_speaking = True
        try:
            for text in tell(self, *arguments):
                self._tell(text)
        finally:
            self._is_speaking = False

    def _tell(self, text: str) -> None:
        if text not in self._said:  # a file that is read in pieces is said once
            self._said.add(text)
            took_ms = (time.perf_counter() - self._started) * 1e3
            self._say(f"{took_ms:6.0f} ms  {text}")

    def _inside(self, path: Any) -> str | None:
        """The path in the store, None for one that lies elsewhere."""
        if self._store is None or not isinstance(path, str | bytes | os.PathLike):
            return None
        text = os.fsdecode(path)
        return text[len(self._store) :] if text.startswith(self._store) else None

    def opened(self, path: Any, mode: Any, flags: Any) -> Iterator[str]:
        """The audit event ``open``."""
        name = self._inside(path)
        if name is not None:
            # What is opened for both, as the journal and locks are, need not be written to.
            does = "writes" if flags & os.O_WRONLY else "opens" if flags & os.O_RDWR else "reads"
            yield f"{does} {name}"

    def started(self, program: Any, arguments: Any, cwd: Any, env: Any) -> Iterator[str]:
        """The audit event ``subprocess.Popen``."""
        words = [arguments] if isinstance(arguments, str | bytes) else list(arguments)
        yield f"runs {_line(words)}"

    def replaced(self, program: Any, arguments: Any, env: Any) -> Iterator[str]:
        """The audit event ``os.exec``."""
        yield f"goes on as {_line(arguments)}"

    def removed(self, path: Any, *_: Any) -> Iterator[str]:
        """The audit events ``os.remove`` and ``shutil.rmtree``."""
        name = self._inside(path)
        if name is not None:
            yield f"removes {name}"


def _line(words: Iterable[Any]) -> str:
    text = " ".join(shlex.join(map(os.fsdecode, words)).split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


_EVENTS: dict[str, Callable[..., Iterator[str]]] = {
    "open": _Narrator.opened,
    "subprocess.Popen": _Narrator.started,
    "os.exec": _Narrator.replaced,
    "os.remove": _Narrator.removed,
    "shutil.rmtree": _Narrator.removed,
}
