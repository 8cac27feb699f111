"""The user's code: the root of the project, its commit, and the files that a snapshot of it holds.

The user's repository is read and never written to: git is told to take no optional locks, and the index is
left as it is.
"""

from __future__ import annotations

import fnmatch
import inspect
import os
import re
import stat
import sys
import textwrap
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from ..digest import digest_json
from ..errors import SnapshotError
from ..records import Redacted, Skipped
from ..repository import remote_url, run_git
from . import formats
from .scrub import REDACTED
from .secrets import marker_of

MAX_FILE_BYTES = 10 * 1024 * 1024
# Without a repository nothing says what belongs to the project: a script may lie in a home folder.
MAX_WALKED_FILES = 2000
MAX_WALKED_BYTES = 100 * 1024 * 1024

# A record lists no more of them: the snapshot has them all.
_LISTED_CHANGES = 500

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
_DERIVED = ("__pycache__", ".recorder", ".git")
_NOT_WALKED = (*_DERIVED, "node_modules", "site-packages", ".venv", "venv")
# A file changed in the tick of the clock in which it was looked at cannot be told from an unchanged one.
_RACY_NS = 50_000_000


class WorkingTree(NamedTuple):
    """A project's files as they are.

    `files` are what a snapshot shall hold, relative to `root`, with slashes (bytes that are not UTF-8 as
    surrogates); `changed` the paths in which the tree differs from `commit`; `skipped` what is left out, and
    why. Without a repository commit, branch, remote and dirty are None.
    """

    root: Path
    files: tuple[str, ...]
    commit: str | None = None
    branch: str | None = None
    remote: str | None = None
    dirty: bool | None = None
    changed: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    warnings: tuple[str, ...] = ()
    redacted: tuple[Redacted, ...] = ()


def find_root(file: Path | None, *, module: str = "", cwd: Path) -> Path:
    """The root of the project that the experiment's `file` belongs to.

    The top of the git working tree that holds it, else its folder, or for a module of a package the folder
    that the package is imported from. Without a file: the same from the working directory.
    """
    start = cwd if file is None else file.parent
    for folder in _upwards(start):
        if os.path.exists(f"{folder}{os.sep}.git"):  # noqa: PTH110 - at each recorded call
            return folder
    if file is not None:
        while (start / "__init__.py").is_file():
            start = start.parent
    return start


@lru_cache(maxsize=100)
def _upwards(folder: Path) -> tuple[Path, ...]:
    return (folder, *folder.parents)


def describe_tree(
    root: Path, *, exclude: Sequence[Path] = (), outputs: frozenset[str] = frozenset()
) -> WorkingTree:
    """The working tree at `root`.

    `exclude` are folders that are no part of it; `outputs` paths that runs have written, relative to it: where
    git does not track them they are no code. When nothing has changed since the last call of this process,
    its answer is given again, for the price of a stat a file.
    """
    memo = _memos.get(root)
    if memo is not None and memo.holds(outputs):
        return memo.tree
    started = time.time_ns()
    tree = _describe(root, exclude, outputs)
    _memos.pop(root, None)
    memo = _Memo(tree, exclude)
    if memo.newest < started - _RACY_NS:
        _memos[root] = memo
    return tree


def forget() -> None:
    """Drop what this process remembers of working trees."""
    _memos.clear()


def _describe(root: Path, exclude: Sequence[Path], outputs: frozenset[str]) -> WorkingTree:
    if (root / ".git").exists():
        try:
            return _describe_repository(root, exclude, outputs)
        except SnapshotError as error:
            return _walk(root, exclude, outputs, (_explain(root, str(error)),))
    return _walk(root, exclude, outputs, ())


def _explain(root: Path, said: str) -> str:
    if "dubious ownership" in said:
        return (
            f"the repository {root} belongs to somebody else, so git does not read it and the commit is not"
            f" known: run `git config --global --add safe.directory {root}` if you trust it"
        )
    return f"git cannot read the repository {root}, so the commit is not known: {said}"


# With a repository


class _Status(NamedTuple):
    commit: str | None
    branch: str | None
    changed: tuple[str, ...]
    untracked: tuple[str, ...]


def _describe_repository(
    root: Path, exclude: Sequence[Path], outputs: frozenset[str]
) -> WorkingTree:
    status = _read_status(root)
    tracked, nested = _tracked(root)
    untracked = [path for path in status.untracked if not _is_output(path, outputs)]
    nested += [path.rstrip("/") for path in untracked if path.endswith("/")]
    listed = [*tracked, *(path for path in untracked if not path.endswith("/"))]
    warnings: list[str] = []
    for folder in nested:
        listed += _nested_files(root, folder, warnings)
    files, skipped = _sift(root, dict.fromkeys(listed), exclude)
    url = remote_url(root)
    new = [path for path in untracked if not _is_derived(path)]
    changed = tuple(dict.fromkeys([*status.changed, *new]))
    return WorkingTree(
        root=root,
        files=files,
        commit=status.commit,
        branch=status.branch,
        remote=None if url is None else without_credentials(url),
        redacted=() if url is None else redact_url(url, "code.remote"),
        dirty=bool(changed),
        changed=tuple(
            os.fsencode(path).decode("utf-8", "backslashreplace")
            for path in changed[:_LISTED_CHANGES]
        ),
        skipped=skipped,
        warnings=tuple(warnings),
    )


def _is_output(path: str, outputs: frozenset[str]) -> bool:
    """Whether an untracked file is one that a run wrote; a program that a run wrote is still code."""
    if path.endswith((".py", ".sh", ".toml", ".yaml", ".yml")):
        return False
    return path in outputs or any(parent in outputs for parent in _parents(path))


def _parents(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _is_derived(path: str) -> bool:
    return any(part in _DERIVED for part in path.rstrip("/").split("/")) or path.endswith(".pyc")


def _read_status(root: Path) -> _Status:
    """``git status --porcelain=v2``: https://git-scm.com/docs/git-status#_porcelain_format_version_2."""
    out = run_git(["status", "--porcelain=v2", "--branch", "-z", "--untracked-files=all"], cwd=root)
    commit = branch = None
    changed: list[str] = []
    untracked: list[str] = []
    fields = iter(out.split(b"\0"))
    for raw in fields:
        kind, text = raw[:1], os.fsdecode(raw)
        if text.startswith("# branch.oid ") and "(initial)" not in text:
            commit = text.split(" ", 2)[2]
        elif text.startswith("# branch.head ") and "(detached)" not in text:
            branch = text.split(" ", 2)[2]
        elif kind == b"1":
            changed.append(text.split(" ", 8)[8])
        elif kind == b"2":  # renamed: the old path is the next field
            changed += [text.split(" ", 9)[9], os.fsdecode(next(fields, b""))]
        elif kind == b"u":
            changed.append(text.split(" ", 10)[10])
        elif kind == b"?":
            untracked.append(text[2:])
    return _Status(commit, branch, tuple(changed), tuple(untracked))


def _tracked(root: Path) -> tuple[list[str], list[str]]:
    """The tracked files, and the folders that are submodules."""
    files: dict[str, None] = {}
    submodules: list[str] = []
    for raw in run_git(["ls-files", "--stage", "-z"], cwd=root).split(b"\0"):
        head, _, path = raw.partition(b"\t")
        if head.startswith(b"160000 "):
            submodules.append(os.fsdecode(path))
        elif path:
            files[os.fsdecode(path)] = None  # once, though a merge has it in three stages
    return list(files), submodules


def _nested_files(root: Path, folder: str, warnings: list[str]) -> Iterator[str]:
    """The files of a repository inside the repository: a submodule, or a clone that lies in it."""
    place = root / folder
    if not (place / ".git").exists():
        return  # a submodule that was never checked out
    try:
        tracked, nested = _tracked(place)
        untracked = _read_status(place).untracked
    except SnapshotError as error:
        warnings.append(f"the nested repository {folder} was left out of the snapshot: {error}")
        return
    yield from (f"{folder}/{path}" for path in [*tracked, *untracked] if not path.endswith("/"))
    for inner in [*nested, *(path.rstrip("/") for path in untracked if path.endswith("/"))]:
        yield from _nested_files(root, f"{folder}/{inner}", warnings)


_USER = re.compile(r"^([\w.+-]+://)([^/\s]*)@")


def without_credentials(url: str) -> str:
    """The URL without a user's name, password or token before the host (``ssh://git@`` stays), or in its query."""
    found = _USER.match(url)
    if found is not None:
        name, colon, _ = found[2].partition(":")
        by_ssh = found[1].lower() in ("ssh://", "git+ssh://", "git://", "sftp://")
        kept = f"{name}@" if name and (by_ssh or (colon and "http" not in found[1].lower())) else ""
        url = f"{found[1]}{kept}{url[found.end() :]}"
    data = url.encode("utf-8", "surrogateescape")
    for start, end in reversed(formats.find(data)):
        data = data[:start] + REDACTED + data[end:]
    return data.decode("utf-8", "surrogateescape")


def redact_url(url: str, place: str) -> tuple[Redacted, ...]:
    """What is listed of a URL that `without_credentials` takes some out of."""
    if without_credentials(url) == url:
        return ()
    return (Redacted(place=place, marker=marker_of(url), reason="a URL with a credential"),)


# Without one


def _walk(
    root: Path, exclude: Sequence[Path], outputs: frozenset[str], warnings: tuple[str, ...]
) -> WorkingTree:
    """The files below `root`, or, in a folder with too many, only the modules that are loaded from it."""
    found: dict[str, None] = {}
    size = 0
    for path, size_bytes in _walked(root, exclude):
        if _is_output(path, outputs):
            continue
        found[path] = None
        size += size_bytes if size_bytes <= MAX_FILE_BYTES else 0
        if len(found) > MAX_WALKED_FILES or size > MAX_WALKED_BYTES:
            found = dict.fromkeys(_loaded_files(root))
            warnings += (
                f"{root} is no git repository and holds more than {MAX_WALKED_FILES} files or"
                f" {MAX_WALKED_BYTES // 1024**2} MB: only the {len(found)} modules loaded from it were captured;"
                " `git init` there says what belongs to the project",
            )
            break
    files, skipped = _sift(root, found, exclude)
    return WorkingTree(root=root, files=files, skipped=skipped, warnings=warnings)


def _walked(root: Path, exclude: Sequence[Path]) -> Iterator[tuple[str, int]]:
    left_out = {os.fspath(path) for path in exclude}
    for folder, names, files in os.walk(root):
        names[:] = sorted(name for name in names if _is_walked(folder, name, left_out))
        for name in sorted(files):
            path = Path(folder, name)
            if not name.endswith(".pyc"):
                yield path.relative_to(root).as_posix(), path.lstat().st_size


def _is_walked(folder: str, name: str, left_out: set[str]) -> bool:
    path = os.path.join(folder, name)  # noqa: PTH118 - 10 times a Path's cost, for every folder
    hidden = name.startswith(".") or name in _NOT_WALKED or path in left_out
    return not hidden and not os.path.exists(os.path.join(path, "pyvenv.cfg"))  # noqa: PTH110, PTH118


def _loaded_files(root: Path) -> Iterator[str]:
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if (
            isinstance(file, str)
            and Path(file).is_relative_to(root)
            and "site-packages" not in file
        ):
            yield Path(file).relative_to(root).as_posix()


# Both


def _sift(
    root: Path, listed: Collection[str], exclude: Sequence[Path]
) -> tuple[tuple[str, ...], tuple[Skipped, ...]]:
    """The files to take, and those to leave, with the reason."""
    files: list[str] = []
    skipped: list[Skipped] = []
    prefix = f"{root}{os.sep}"
    outside = tuple(f"{path}{os.sep}" for path in exclude)
    for path in listed:
        full = prefix + path
        if _is_derived(path) or full.startswith(outside):
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
    return _SECRET_NAMES.match(name) is not None and name not in _TEMPLATES


_SECRET_NAMES = re.compile("|".join(fnmatch.translate(pattern) for pattern in _SECRETS))


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


# What this process remembers

_Stat = tuple[int, int, int, int]


class _Memo:
    """A working tree, and by what to tell that it is still the same."""

    def __init__(self, tree: WorkingTree, exclude: Sequence[Path]) -> None:
        self.tree = tree
        self._prefix = f"{tree.root}{os.sep}"
        self._is_linked = (
            tree.root / ".git"
        ).is_file()  # a linked worktree: its index lies elsewhere
        self._excluded = {os.fspath(path) for path in exclude}
        self._files = {path: self._stat(path) for path in tree.files}
        self._git = {path: self._stat(path) for path in self._git_files()}
        folders = {path.rpartition("/")[0] for path in tree.files} | {""}
        self._folders = {folder: (self._stat(folder), self._names(folder)) for folder in folders}
        times = [s[0] for s in [*self._files.values(), *self._git.values()] if s is not None]
        self.newest = max(times, default=0)

    def _git_files(self) -> list[str]:
        git = self.tree.root / ".git"
        if not git.is_dir():
            return []
        branch = f".git/refs/heads/{self.tree.branch}"
        return [
            ".git/HEAD",
            ".git/index",
            ".git/packed-refs",
            ".git/config",
            ".git/info/exclude",
            branch,
        ]

    def _stat(self, path: str) -> _Stat | None:
        try:
            s = os.lstat(self._prefix + path)
        except OSError:
            return None
        return s.st_mtime_ns, s.st_size, s.st_ino, s.st_mode

    def _names(self, folder: str) -> frozenset[str]:
        try:
            return frozenset(os.listdir(self._prefix + folder))  # noqa: PTH208 - names are all that is wanted
        except OSError:
            return frozenset()

    def holds(self, outputs: frozenset[str]) -> bool:
        """Whether the tree is as it was, but for files of the names in `outputs`."""
        if self._is_linked or self._is_other():
            return False
        return all(self._folder_holds(folder, outputs) for folder in self._folders)

    def _is_other(self) -> bool:
        # (Written out: it is a stat for each file of the project, at each recorded call.)
        lstat, prefix = os.lstat, self._prefix
        for known in (self._git, self._files):
            for path, then in known.items():
                try:
                    s = lstat(prefix + path)
                except OSError:
                    if then is not None:
                        return True
                    continue
                if (s.st_mtime_ns, s.st_size, s.st_ino, s.st_mode) != then:
                    return True
        return False

    def _folder_holds(self, folder: str, outputs: frozenset[str]) -> bool:
        then, names = self._folders[folder]
        now = self._stat(folder)
        if now == then:
            return True
        names_now = self._names(folder)
        for name in names ^ names_now:
            path = f"{folder}/{name}" if folder else name
            known = (
                _is_output(path, outputs)
                or name in _DERIVED
                or self._prefix + path in self._excluded
            )
            if not known:
                return False
        self._folders[folder] = now, names_now
        return True


_memos: dict[Path, _Memo] = {}


def describe_function(function: Callable[..., Any]) -> tuple[str | None, str | None]:
    """The digest of the function's own text, and the text; None where it is not to be had.

    Decorators are part of it; indentation and blanks at the ends of lines are not.
    """
    try:
        text = inspect.getsource(inspect.unwrap(function))
    except (OSError, TypeError):
        return None, None
    lines = [line.rstrip() for line in textwrap.dedent(text).splitlines()]
    text = "\n".join(lines).strip() + "\n"
    return digest_json("source", text), text
