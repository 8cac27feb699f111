"""The errors of recorder, each with its facts as fields.

::

    RecorderError (Exception)
    ├── ConfigError (ValueError)           an argument that the experiment does not take, or that has the wrong type
    ├── TargetError (LookupError)          an experiment that cannot be found or loaded
    ├── CommandError (RuntimeError)        a recorded command that failed
    ├── StoreNotFoundError (FileNotFoundError)
    ├── StoreFormatError (ValueError)      a folder that is not a store, or a store with a newer format
    ├── RunNotFoundError (LookupError)     a reference that matches no run, or several
    ├── RunInUseError (RuntimeError)       an operation that is impossible while the run is in progress
    ├── TagError (ValueError)              an invalid tag
    ├── ContentNotFoundError (LookupError) an output, input or file that the run does not have
    ├── DestinationError (FileExistsError) a destination that exists already, or that is outside the folder
    ├── QueryError (ValueError)            a query with a syntax error or an unknown field
    ├── ObjectNotFoundError (LookupError)  an object that the store does not hold
    ├── DamageError (ValueError)           bytes in the store that differ from the bytes that were written
    ├── SaveError (ValueError)             an output that cannot be saved
    ├── HazardError (RuntimeError)         a run that could not be replayed exactly (strict mode only)
    ├── EncodeError (TypeError)            a value that cannot be encoded (strict mode only)
    ├── DecodeError (ValueError)           a form or payload that cannot be decoded
    ├── MissingPackageError (ImportError)  a required package that is not installed
    ├── TransferError (ValueError)         runs that cannot be exported or imported
    ├── TrustError (PermissionError)       an operation that would execute code of a run signed by another user
    ├── SnapshotError (OSError)            a working tree that cannot be read or restored
    ├── LockError (RuntimeError)           an environment for which no lock file can be made
    └── ReplayError (RuntimeError)         a run that cannot be replayed

Each message states what happened, to which run or file, and what to do next. `exit_status` is the exit status of the
command line: 2 for an error of usage, 3 for an operation that could not be done.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


class RecorderError(Exception):
    """Base class of all errors of recorder; the message is one line that states what happened and what to do."""

    exit_status = 3


class ConfigError(RecorderError, ValueError):
    """An argument that the experiment does not take, lacks, or cannot convert to the declared type.

    Attributes:
        key: Dotted name of the argument.
        signature: Signature of the experiment, as source text.
    """

    exit_status = 2

    def __init__(self, message: str, *, key: str = "", signature: str = "") -> None:
        super().__init__(message)
        self.key = key
        self.signature = signature


class TargetError(RecorderError, LookupError):
    """An experiment that cannot be found or loaded; `target` is the name that was given."""

    exit_status = 2

    def __init__(self, message: str, *, target: str = "") -> None:
        super().__init__(message)
        self.target = target


class CommandError(RecorderError, RuntimeError):
    """A recorded command that failed; `status` is its exit status as a shell reports it."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class StoreNotFoundError(RecorderError, FileNotFoundError):
    """A missing store: there is none at `path` or in any folder above it."""

    def __init__(self, message: str, *, path: Path) -> None:
        super().__init__(message)
        self.path = path


class StoreFormatError(RecorderError, ValueError):
    """A folder that is not a store, or a store whose format this version cannot read.

    Attributes:
        path: The folder.
        format: Format number of the store; None if it is unknown.
    """

    def __init__(self, message: str, *, path: Path, format: int | None = None) -> None:
        super().__init__(message)
        self.path = path
        self.format = format


class RunNotFoundError(RecorderError, LookupError):
    """A reference `ref` that matches no run, or several; `candidates` are the nearest names."""

    def __init__(self, message: str, *, ref: str, candidates: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.ref = ref
        self.candidates = tuple(candidates)


class RunInUseError(RecorderError, RuntimeError):
    """An operation that is impossible while the run is in progress; `number` is the number of the run."""

    def __init__(self, message: str, *, number: int) -> None:
        super().__init__(message)
        self.number = number


class TagError(RecorderError, ValueError):
    """An invalid tag: `tag` is the string that was given."""

    exit_status = 2

    def __init__(self, message: str, *, tag: str) -> None:
        super().__init__(message)
        self.tag = tag


class ContentNotFoundError(RecorderError, LookupError):
    """An output, input or file `name` that the run does not have; `candidates` are the nearest names."""

    def __init__(self, message: str, *, name: str, candidates: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.name = name
        self.candidates = tuple(candidates)


class DestinationError(RecorderError, FileExistsError):
    """A destination `path` that is refused because it exists already or is outside the folder."""

    def __init__(self, message: str, *, path: Path) -> None:
        super().__init__(message)
        self.path = path


class QueryError(RecorderError, ValueError):
    """A query with a syntax error, or with a field that no run has.

    The message has three lines: the problem, the query, and a caret under the place.

    Attributes:
        text: The query.
        at: Position of the problem in `text`, in characters from 0.
    """

    exit_status = 2

    def __init__(self, message: str, *, text: str, at: int) -> None:
        super().__init__(message)
        self.text = text
        self.at = at


class ObjectNotFoundError(RecorderError, LookupError):
    """An object that the store does not hold; `digest` is its name."""

    def __init__(self, message: str, *, digest: str) -> None:
        super().__init__(message)
        self.digest = digest


class DamageError(RecorderError, ValueError):
    """Bytes in the store that differ from the bytes that were written.

    Attributes:
        path: The damaged file.
        offset: Position of the damage in bytes from 0; None if it is unknown.
    """

    def __init__(self, message: str, *, path: Path, offset: int | None = None) -> None:
        super().__init__(message)
        self.path = path
        self.offset = offset


class SaveError(RecorderError, ValueError):
    """An output that cannot be saved; `name` is the name of the output."""

    def __init__(self, message: str, *, name: str) -> None:
        super().__init__(message)
        self.name = name


class HazardError(RecorderError, RuntimeError):
    """A run that strict mode refuses to start, because a replay could differ; `hazards` describes the reasons."""

    def __init__(self, message: str, *, hazards: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.hazards = tuple(hazards)


class EncodeError(RecorderError, TypeError):
    """A value that cannot be encoded; `path` is its dotted place in the argument or result."""

    def __init__(self, message: str, *, path: str = "") -> None:
        super().__init__(message)
        self.path = path


class DecodeError(RecorderError, ValueError):
    """A form or payload that cannot be decoded."""


class MissingPackageError(RecorderError, ImportError):
    """A package that the operation needs and that is not installed; `name` is the name of the package."""

    def __init__(self, message: str, *, name: str) -> None:
        super().__init__(message)
        self.name = name


class TransferError(RecorderError, ValueError):
    """Runs that cannot be exported or imported; `path` is the archive, or None."""

    def __init__(self, message: str, *, path: Path | None = None) -> None:
        super().__init__(message)
        self.path = path


class TrustError(RecorderError, PermissionError):
    """An operation that would import or unpickle content of a run signed by another user; `run` is its number."""

    def __init__(self, message: str, *, run: int) -> None:
        super().__init__(message)
        self.run = run


class SnapshotError(RecorderError, OSError):
    """A working tree whose files cannot be read or restored; `root` is the folder of the tree."""

    def __init__(self, message: str, *, root: Path | None = None) -> None:
        super().__init__(message)
        self.root = root


class LockError(RecorderError, RuntimeError):
    """An environment for which no lock file can be made."""


class ReplayError(RecorderError, RuntimeError):
    """A run that cannot be replayed; `run` is its number."""

    def __init__(self, message: str, *, run: int | None = None) -> None:
        super().__init__(message)
        self.run = run


class RecorderWarning(UserWarning):
    """A warning that part of a run was not recorded or cannot be replayed; the run continues."""
