"""The errors of recorder, each with its facts as fields.

::

    RecorderError (Exception)
    ├── ConfigError (ValueError)           an argument that the experiment does not take, or of the wrong type
    ├── TargetError (LookupError)          an experiment that cannot be found or loaded
    ├── StoreNotFoundError (FileNotFoundError)
    ├── StoreFormatError (ValueError)      a folder that is no store, or one of a newer format
    ├── RunNotFoundError (LookupError)     no run, or several, under the name given
    ├── RunInUseError (RuntimeError)       a run in progress, to which this cannot be done
    ├── TagError (ValueError)              a text that cannot be a run's tag
    ├── ContentNotFoundError (LookupError) no output, input or file of that name belongs to the run
    ├── DestinationError (FileExistsError) a place at which something is already, or that lies outside
    ├── QueryError (ValueError)            a query that is not understood, or asks for what no run has
    ├── ObjectNotFoundError (LookupError)  an object that the store does not hold
    ├── DamageError (ValueError)           bytes in the store that are not what was written
    ├── SaveError (ValueError)             an output that cannot be taken in
    ├── HazardError (RuntimeError)         what could make a replay come out otherwise, known beforehand (strict only)
    ├── EncodeError (TypeError)            a value that nothing can encode (strict only)
    ├── DecodeError (ValueError)           a form or payload that cannot be turned back into a value
    ├── MissingPackageError (ImportError)  a package that what was asked for needs, and that is not installed
    ├── TransferError (ValueError)         runs that cannot be exported or imported as they are
    ├── TrustError (PermissionError)       what would run the code of a run that somebody else has signed
    ├── SnapshotError (OSError)            the files of a working tree could not be taken or laid out
    ├── LockError (RuntimeError)           an environment of which no lock file can be made here
    └── ReplayError (RuntimeError)         a run that cannot be replayed as things stand

`exit_status` is what the command line ends with: 2 for usage, 3 for what could not be done.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


class RecorderError(Exception):
    """Any error of recorder's own; its text is one line that says what happened and what to do."""

    exit_status = 3


class ConfigError(RecorderError, ValueError):
    """An argument that the experiment does not take, lacks, or cannot take with that type.

    `key` is the dotted name of the argument; `signature` the experiment's own.
    """

    exit_status = 2

    def __init__(self, message: str, *, key: str = "", signature: str = "") -> None:
        super().__init__(message)
        self.key = key
        self.signature = signature


class TargetError(RecorderError, LookupError):
    """An experiment that cannot be found or loaded; `target` is the name as it was given."""

    exit_status = 2

    def __init__(self, message: str, *, target: str = "") -> None:
        super().__init__(message)
        self.target = target


class CommandError(RecorderError, RuntimeError):
    """A recorded command that ended with a `status` other than 0, as a shell gives it."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class StoreNotFoundError(RecorderError, FileNotFoundError):
    """No store at `path`, or in any folder above it."""

    def __init__(self, message: str, *, path: Path) -> None:
        super().__init__(message)
        self.path = path


class StoreFormatError(RecorderError, ValueError):
    """A folder that is no store, or a store of a format that this version cannot read."""

    def __init__(self, message: str, *, path: Path, format: int | None = None) -> None:
        super().__init__(message)
        self.path = path
        self.format = format


class RunNotFoundError(RecorderError, LookupError):
    """No run, or several, under the name `ref`; `candidates` are the nearest names."""

    def __init__(self, message: str, *, ref: str, candidates: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.ref = ref
        self.candidates = tuple(candidates)


class RunInUseError(RecorderError, RuntimeError):
    """The run of that number is in progress, and what was asked for cannot be done to it."""

    def __init__(self, message: str, *, number: int) -> None:
        super().__init__(message)
        self.number = number


class TagError(RecorderError, ValueError):
    """A text that cannot be a run's tag."""

    exit_status = 2

    def __init__(self, message: str, *, tag: str) -> None:
        super().__init__(message)
        self.tag = tag


class ContentNotFoundError(RecorderError, LookupError):
    """No output, input or file `name` belongs to the run; `candidates` are the nearest names."""

    def __init__(self, message: str, *, name: str, candidates: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.name = name
        self.candidates = tuple(candidates)


class DestinationError(RecorderError, FileExistsError):
    """A place `path` to which nothing is written: something is there already, or it lies outside the folder."""

    def __init__(self, message: str, *, path: Path) -> None:
        super().__init__(message)
        self.path = path


class QueryError(RecorderError, ValueError):
    """A query that is not understood, or that asks for what no run has; `at` is where in `text` (characters).

    Its text is three lines: what is wrong, the query, and a caret under the place.
    """

    exit_status = 2

    def __init__(self, message: str, *, text: str, at: int) -> None:
        super().__init__(message)
        self.text = text
        self.at = at


class ObjectNotFoundError(RecorderError, LookupError):
    """The store does not hold the object named `digest`."""

    def __init__(self, message: str, *, digest: str) -> None:
        super().__init__(message)
        self.digest = digest


class DamageError(RecorderError, ValueError):
    """Bytes in the store that are not what was written; `path` and `offset` (bytes) locate them."""

    def __init__(self, message: str, *, path: Path, offset: int | None = None) -> None:
        super().__init__(message)
        self.path = path
        self.offset = offset


class SaveError(RecorderError, ValueError):
    """An output that cannot be taken in; `name` is the output's."""

    def __init__(self, message: str, *, name: str) -> None:
        super().__init__(message)
        self.name = name


class HazardError(RecorderError, RuntimeError):
    """A run that strict does not start, for what is known to stand in the way of its replay; `hazards` in words."""

    def __init__(self, message: str, *, hazards: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.hazards = tuple(hazards)


class EncodeError(RecorderError, TypeError):
    """A value that nothing can encode; `path` is its dotted place in what was given."""

    def __init__(self, message: str, *, path: str = "") -> None:
        super().__init__(message)
        self.path = path


class DecodeError(RecorderError, ValueError):
    """A form or payload that cannot be turned back into a value."""


class MissingPackageError(RecorderError, ImportError):
    """What was asked for needs the package `name`, which is not installed here."""

    def __init__(self, message: str, *, name: str) -> None:
        super().__init__(message)
        self.name = name


class TransferError(RecorderError, ValueError):
    """Runs that cannot be exported or imported as they are; `path` is the archive, where there is one."""

    def __init__(self, message: str, *, path: Path | None = None) -> None:
        super().__init__(message)
        self.path = path


class TrustError(RecorderError, PermissionError):
    """What would import or unpickle something of a run that is not one's own; `run` is its number."""

    def __init__(self, message: str, *, run: int) -> None:
        super().__init__(message)
        self.run = run


class SnapshotError(RecorderError, OSError):
    """The files of a working tree could not be taken or laid out; `root` is the tree's folder."""

    def __init__(self, message: str, *, root: Path | None = None) -> None:
        super().__init__(message)
        self.root = root


class LockError(RecorderError, RuntimeError):
    """An environment of which no lock file can be made here."""


class ReplayError(RecorderError, RuntimeError):
    """A run that cannot be replayed as things stand; `run` is its number."""

    def __init__(self, message: str, *, run: int | None = None) -> None:
        super().__init__(message)
        self.run = run


class RecorderWarning(UserWarning):
    """Something that was not recorded, or will not be replayable; the run goes on."""
