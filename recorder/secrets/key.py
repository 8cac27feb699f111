"""The user's own key, which never lies in a store: what marks and signatures are made with.

It is 32 random bytes, made on first use, in a file that only the user can read: what RECORDER_KEY_FILE names, else
``recorder/key`` in the user's folder for configuration (XDG_CONFIG_HOME, ``~/.config``; on Windows APPDATA). Who
copies that file to another machine has the same key there.
"""

from __future__ import annotations

import functools
import os
import stat
import time
import warnings
from pathlib import Path

from ..digest import derive_key
from ..errors import RecorderWarning

VARIABLE = "RECORDER_KEY_FILE"
KEY_BYTES = 32
# On a filesystem without hard links the file is there for a moment before its text is.
_WHOLE_WITHIN_S = 2.0

_keys: dict[Path | None, bytes] = {}


def key_file() -> Path:
    """Where the key is, or will be. Raises OSError where the user has no folder of their own."""
    read = os.environ.get
    named, folder = read(VARIABLE), read("XDG_CONFIG_HOME") or (os.name == "nt" and read("APPDATA"))
    return _key_file(named, folder or None, read("HOME"))


@functools.lru_cache(maxsize=4)  # it is asked for four times at each recorded call
def _key_file(named: str | None, folder: str | None, home: str | None) -> Path:
    if named:
        return Path(named).expanduser().absolute()
    try:
        return (Path(folder) if folder else Path.home() / ".config") / "recorder" / "key"
    except RuntimeError as error:  # no home: a uid that nobody has entered, in a container
        raise OSError(str(error)) from error


def key() -> bytes:
    """The key: 32 bytes, the same in every process of this user.

    Where the file can be neither read nor made, a warning, and a key of this process alone.
    """
    try:
        file = key_file()
    except OSError as error:
        return _keys.get(None) or _of_this_process(None, error)
    known = _keys.get(file)
    if known is not None:
        return known
    try:
        found = _keys[file] = _read(file) if file.exists() else _make(file)
    except (OSError, ValueError) as error:
        return _of_this_process(file, error)
    return found


def derive(purpose: str) -> bytes:
    """A key for one purpose, 32 bytes: who learns it learns neither the key nor that of another purpose.

    `purpose` is a constant of the caller's, such as ``"recorder redacted values 1"``.
    """
    return _derive(key(), purpose)


@functools.lru_cache(maxsize=16)
def _derive(material: bytes, purpose: str) -> bytes:
    return derive_key(material, context=purpose)


def is_lasting() -> bool:
    """Whether other processes have the same key, and later ones will."""
    try:
        file = key_file()
        return _read(file) == key()
    except (OSError, ValueError):
        return False


def _of_this_process(file: Path | None, error: Exception) -> bytes:
    where = "" if file is None else f" in {file}"
    warnings.warn(
        f"there is no key{where} ({error}): this process takes one of its own, so what is marked or signed with it"
        f" can be told apart by no other; name a file that can be written with {VARIABLE}",
        RecorderWarning,
        stacklevel=2,
    )
    return _keys.setdefault(file, os.urandom(KEY_BYTES))


def _read(file: Path) -> bytes:
    """The key in the file. Raises OSError, and ValueError where it holds something else."""
    until = time.monotonic() + _WHOLE_WITHIN_S
    while not (text := file.read_text(encoding="ascii")) and time.monotonic() < until:
        time.sleep(0.01)
    found = bytes.fromhex(text)
    if len(found) != KEY_BYTES:
        raise ValueError(f"it holds {len(found)} bytes, not {KEY_BYTES}: restore it, or remove it")
    if os.name != "nt" and stat.S_IMODE(file.stat().st_mode) & 0o077:
        message = f"others can read the key {file}: chmod 600 {file}"
        warnings.warn(message, RecorderWarning, stacklevel=4)
    return found


def _make(file: Path) -> bytes:
    """A fresh key in the file; another process's where that was faster."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = os.urandom(KEY_BYTES)
    staged = file.with_name(f"{file.name}.{os.urandom(8).hex()}")
    try:
        _write(staged, made)
        # Whole or not at all, and the first one stays: a link does not take the place of what is there.
        os.link(staged, file)
    except FileExistsError:
        return _read(file)
    except OSError:  # a filesystem without hard links, or one that cannot be written at all
        try:
            _write(file, made)
        except FileExistsError:
            return _read(file)
    finally:
        staged.unlink(missing_ok=True)
    return made


def _write(file: Path, made: bytes) -> None:
    """Raises FileExistsError where the file is there."""
    fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(fd, f"{made.hex()}\n".encode())
        os.fsync(fd)
    finally:
        os.close(fd)
