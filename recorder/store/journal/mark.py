"""The mark of a journal, ``runs.jsonl.mark``: the position of its last durable line, which proves later losses.

A journal that is deleted, emptied, cut at the end of a line, or replaced by an older copy looks intact by itself: each
of its lines has a valid checksum. The mark is written after each synced write, so it never claims more than is on the
disk, even after a power cut. It is not synced: an older mark claims less, but is still true.

The file is a line of JSON, padded to one fixed size so that one write replaces all of it.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import msgspec

from .view import OpenFile

_SIZE_BYTES = 512
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


class Mark(msgspec.Struct, frozen=True):
    """The claim that a line that begins with `line` was at offset `last_at` and ended at `end`.

    `last_id` is the highest id of any table at that time. A mark with `end` 0 claims nothing.
    """

    end: int = 0
    last_at: int = 0
    line: str = ""
    last_id: int = 0

    def holds(self, file: OpenFile) -> bool:
        """Return whether the file still has that line at that position."""
        if not self.end:
            return True
        if file.state().st_size < self.end:
            return False
        return file.read(len(self.line), self.last_at) == self.line.encode()


class _Signed(msgspec.Struct, frozen=True):
    mark: Mark
    crc: int


def mark_path(journal: Path) -> Path:
    """Return the path of the mark of a journal."""
    return journal.with_name(f"{journal.name}.mark")


def read_mark(journal: Path) -> Mark | None:
    """Return the mark of a journal, None if there is none. Raises ValueError if it is damaged."""
    try:
        fd = os.open(mark_path(journal), os.O_RDONLY | _NO_FOLLOW | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ValueError(str(error)) from error
    try:
        data = os.read(fd, _SIZE_BYTES + 1)
    except OSError as error:
        raise ValueError(str(error)) from error
    finally:
        os.close(fd)
    if not data:
        return None  # created, but killed before it was written
    try:
        signed = msgspec.json.decode(data, type=_Signed)
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from error
    if data != _encode(signed.mark):
        raise ValueError("its checksum does not match")
    return signed.mark


def write_mark(journal: Path, mark: Mark) -> None:
    """Write the mark of a journal; call it with the journal's lock held. Raises OSError."""
    fd = os.open(mark_path(journal), os.O_WRONLY | os.O_CREAT | _NO_FOLLOW, 0o666)
    try:
        os.write(fd, _encode(mark))
    finally:
        os.close(fd)


def _encode(mark: Mark) -> bytes:
    crc = zlib.crc32(msgspec.json.encode(mark))
    return msgspec.json.encode(_Signed(mark, crc)).ljust(_SIZE_BYTES - 1) + b"\n"
