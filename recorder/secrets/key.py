"""The secret key of the user, kept outside every store, for redaction markers and signatures.

The key consists of 32 random bytes and is created on first use, in a file that only the user can read. The file is
the one that RECORDER_KEY_FILE names, or else ``recorder/key`` in the user's configuration folder (XDG_CONFIG_HOME,
``~/.config``, or APPDATA on Windows). To use the same key on another machine, copy the file there.
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
# On a filesystem without hard links, the file exists for a moment before its content does.
_WHOLE_WITHIN_S = 2.0

_keys: dict[Path | None, bytes] = {}


def key_file() -> Path:
    """Return the path of the key file, which may not exist yet. Raises OSError if the user has no home folder."""
    read = os.environ.get
    named, folder = read(VARIABLE), read("XDG_CONFIG_HOME") or (os.name == "nt" and read("APPDATA"))
    return _key_file(named, folder or None, read("HOME"))


@functools.lru_cache(maxsize=4)  # each recorded call asks four times
def _key_file(named: str | None, folder: str | None, home: str | None) -> Path:
    if named:
        return Path(named).expanduser().absolute()
    try:
        return (Path(folder) if folder else Path.home() / ".config") / "recorder" / "key"
    except RuntimeError as error:  # no home folder, such as for an unknown uid in a container
        raise OSError(str(error)) from error


def key() -> bytes:
    """Return the key, 32 bytes, the same in every process of this user.

    If the file can be neither read nor created, warn and return a key for this process only.
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
    """Derive a key of 32 bytes for one purpose, which reveals neither the main key nor other derived keys.

    `purpose` is a constant of the caller, such as ``"recorder redacted values 1"``.
    """
    return _derive(key(), purpose)


@functools.lru_cache(maxsize=16)
def _derive(material: bytes, purpose: str) -> bytes:
    return derive_key(material, context=purpose)


def is_lasting() -> bool:
    """Return True if other and later processes have the same key."""
    try:
        file = key_file()
        return _read(file) == key()
    except (OSError, ValueError):
        return False


def _of_this_process(file: Path | None, error: Exception) -> bytes:
    where = "" if file is None else f" in {file}"
    warnings.warn(
        f"using a temporary key, because there is no key{where} ({error}): other processes cannot verify what this run"
        f" signs; set {VARIABLE} to a file that can be written",
        RecorderWarning,
        stacklevel=2,
    )
    return _keys.setdefault(file, os.urandom(KEY_BYTES))


def _read(file: Path) -> bytes:
    """Read the key from the file. Raises OSError, or ValueError for other content."""
    until = time.monotonic() + _WHOLE_WITHIN_S
    while not (text := file.read_text(encoding="ascii")) and time.monotonic() < until:
        time.sleep(0.01)
    found = bytes.fromhex(text)
    if len(found) != KEY_BYTES:
        raise ValueError(f"it holds {len(found)} bytes, not {KEY_BYTES}: restore or remove it")
    if os.name != "nt" and stat.S_IMODE(file.stat().st_mode) & 0o077:
        message = f"other users can read the key {file}; run: chmod 600 {file}"
        warnings.warn(message, RecorderWarning, stacklevel=4)
    return found


def _make(file: Path) -> bytes:
    """Create a key in the file, or read the one of a process that was faster."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = os.urandom(KEY_BYTES)
    staged = file.with_name(f"{file.name}.{os.urandom(8).hex()}")
    try:
        _write(staged, made)
        # A link is atomic and never replaces an existing file, so the first process wins.
        os.link(staged, file)
    except FileExistsError:
        return _read(file)
    except OSError:  # a filesystem without hard links, or one that cannot be written
        try:
            _write(file, made)
        except FileExistsError:
            return _read(file)
    finally:
        staged.unlink(missing_ok=True)
    return made


def _write(file: Path, made: bytes) -> None:
    """Write a new key file. Raises FileExistsError if it exists."""
    fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(fd, f"{made.hex()}\n".encode())
        os.fsync(fd)
    finally:
        os.close(fd)
