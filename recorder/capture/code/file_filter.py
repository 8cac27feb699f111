"""Which files of a working tree a snapshot takes, and for what reason it leaves the others.

What runs wrote is no code, byte code neither; credentials, large files and what is no file are left out and listed.
"""

from __future__ import annotations

import fnmatch
import os
import re
import stat
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from ...records import Skipped

MAX_FILE_BYTES = 10 * 1024 * 1024

_SECRETS = (
    ".env", ".env.*", "*.env", ".envrc", "*.pem", "*.key", "*.ppk", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx",
    "*.pkcs12", "*.p8", "id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", "id_*_sk", "*_rsa", "*_ed25519",
    ".netrc", "_netrc", ".pgpass", ".my.cnf", ".pypirc", ".npmrc", ".dockercfg", ".htpasswd", ".git-credentials",
    ".vault-token", ".s3cfg", ".boto", "credentials", "credentials.json", "client_secret*.json",
    "service_account*.json", "service-account*.json", "secrets.json", "secrets.toml", "secrets.yaml", "secrets.yml",
    "kaggle.json", "terraform.tfvars", "*.tfstate", "*.ovpn", "kubeconfig",
)  # fmt: skip
# Files of the first names that say what others are to hold.
_TEMPLATES = (
    ".env.example",
    ".env.sample",
    ".env.template",
    ".env.dist",
    "example.env",
    "sample.env",
)
DERIVED = ("__pycache__", ".recorder", ".git")


def is_output(path: str, outputs: frozenset[str]) -> bool:
    """Whether an untracked file is one that a run wrote; a program that a run wrote is still code."""
    if path.endswith((".py", ".sh", ".toml", ".yaml", ".yml")):
        return False
    return path in outputs or any(parent in outputs for parent in _parents(path))


def _parents(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def is_derived(path: str) -> bool:
    """Whether the path is one of byte code, of a store, or of git's own."""
    return any(part in DERIVED for part in path.rstrip("/").split("/")) or path.endswith(".pyc")


def sift(
    root: Path, listed: Collection[str], exclude: Sequence[Path]
) -> tuple[tuple[str, ...], tuple[Skipped, ...]]:
    """The files to take, and those to leave, with the reason."""
    files: list[str] = []
    skipped: list[Skipped] = []
    prefix = f"{root}{os.sep}"
    outside = tuple(f"{path}{os.sep}" for path in exclude)
    for path in listed:
        full = prefix + path
        if is_derived(path) or full.startswith(outside):
            continue
        try:
            status = os.lstat(full)
        except (FileNotFoundError, NotADirectoryError):
            continue  # deleted, but not in the index
        reason = _reason_to_skip(path, status)
        if reason:
            shown = os.fsencode(path).decode("utf-8", "backslashreplace")
            skipped.append(Skipped(path=shown, reason=reason, size_bytes=status.st_size))
        elif not stat.S_ISDIR(status.st_mode):
            files.append(path)
    return tuple(files), tuple(skipped)


@lru_cache(maxsize=1 << 16)
def is_secret_file(path: str) -> bool:
    """Whether a file of that name holds credentials: ``.env``, ``*.pem``, ``id_rsa`` and their like."""
    name = path.rpartition("/")[2].lower()
    return _secret_names().match(name) is not None and name not in _TEMPLATES


@lru_cache(maxsize=1)
def _secret_names() -> re.Pattern[str]:
    # (Compiled when it is first needed: not in a process whose tree is remembered.)
    return re.compile("|".join(fnmatch.translate(pattern) for pattern in _SECRETS))


def _reason_to_skip(path: str, status: os.stat_result) -> str:
    if is_secret_file(path):
        return "its name is that of a secret"
    if stat.S_ISREG(status.st_mode) and status.st_size > MAX_FILE_BYTES:
        return f"larger than {MAX_FILE_BYTES // 1024**2} MB"
    if not (
        stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode) or stat.S_ISDIR(status.st_mode)
    ):
        return "neither a file nor a link"
    return ""
