"""The record of a run: one frozen schema, and the format number of the store.

A `Record` is the document that the journal keeps for a run. It holds only plain JSON: values are forms of the codec
(see `recorder.codec.forms`), and large content is an object named by its digest.

This module must not use ``from __future__ import annotations``: msgspec would then evaluate every annotation string
when it reads the first record, which takes as long as reading forty records.
"""

import os
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, TypeAlias

import msgspec

from .digest import digest_json

FORMAT = 1

# Plain JSON, of which the forms of the codec are made.
JSON: TypeAlias = Any

Status: TypeAlias = Literal["running", "finished", "failed", "interrupted", "lost"]
OutputKind: TypeAlias = Literal["file", "folder", "value"]
ItemVerdict: TypeAlias = Literal[
    "identical", "equal", "close", "different", "missing", "extra", "opaque"
]
ReplayVerdict: TypeAlias = Literal[
    "reproduced", "close", "diverged", "failed", "nothing verified", "changed"
]

# Crockford's base 32 in lower case, without the ambiguous letters i, l, o and u: https://www.crockford.com/base32.html
_ID_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
ID_LENGTH = 20


class Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A frozen part of a record; fields that have their default value are not written."""


class StoredBytes(Part, frozen=True):
    """Bytes that a run left.

    Attributes:
        digest: Digest of the bytes; names an object unless `text` is given.
        size_bytes: Size of the bytes as they are stored.
        text: The bytes inline, if they are small and valid UTF-8; None if they are an object.
    """

    digest: str
    size_bytes: int
    text: str | None = None


class Skipped(Part, frozen=True):
    """A file that the code snapshot does not contain.

    Attributes:
        path: Path relative to the root of the snapshot.
        reason: Reason for leaving it out, for display.
        size_bytes: Size of the file; None if it could not be read.
    """

    path: str
    reason: str
    size_bytes: int | None = None


class Submodule(Part, frozen=True):
    """A git submodule of the code.

    Attributes:
        path: Path relative to the root of the snapshot.
        commit: Commit that was checked out.
        dirty: True if its working tree had changes; None if the submodule was not checked out.
    """

    path: str
    commit: str | None = None
    dirty: bool | None = None


class EditableProject(Part, frozen=True):
    """A project outside the root that the run imported from its source folder, for example an editable install.

    Attributes:
        name: Name of the distribution, or of the folder if there is no distribution.
        root: Folder on the recording machine (absolute path).
        snapshot, commit, dirty, skipped: As in `Code`, for this project.
    """

    name: str
    root: str
    snapshot: str | None = None
    commit: str | None = None
    dirty: bool | None = None
    skipped: tuple[Skipped, ...] = ()


class Code(Part, frozen=True):
    """The code of a run: its location in the user's repository, and the snapshot of the files that ran.

    Attributes:
        root: Root folder of the project on the recording machine (absolute path).
        snapshot: Git tree id of the snapshot in the store's ``code.git``; None if no snapshot was taken.
        commit: Commit that was checked out; None outside a git repository.
        branch: Branch that was checked out; None for a detached HEAD.
        remote: URL of the remote, without credentials.
        dirty: True if the working tree differed from `commit`.
        changed: Modified, deleted and untracked paths, relative to the repository.
        skipped: Files that the snapshot does not contain.
        submodules: Submodules of the repository; the snapshot contains their files.
        projects: Other source folders that the run imported, each with a snapshot.
    """

    root: str
    snapshot: str | None = None
    commit: str | None = None
    branch: str | None = None
    remote: str | None = None
    dirty: bool | None = None
    changed: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    submodules: tuple[Submodule, ...] = ()
    projects: tuple[EditableProject, ...] = ()


class Function(Part, frozen=True):
    """The function behind an experiment, and the information needed to find it again.

    Attributes:
        module: Module that defines the function.
        qualname: Qualified name in that module; for a block, that of the surrounding code.
        signature: Signature as source text, for display.
        file: Source file relative to the root of the code, with forward slashes; None if unknown.
        script: True if the file ran as ``__main__``.
        source: Digest of the function's source text.
        pickled: Form of a function that no module holds (from a notebook, a REPL or a closure), or None.
        seed_parameter: Name of the parameter that takes the seed, or None.
        kind: ``function`` (generators included), ``block`` (`start_run`) or ``command`` (a recorded command line).
    """

    module: str
    qualname: str
    signature: str = ""
    file: str | None = None
    script: bool = False
    source: str | None = None
    pickled: JSON = None
    seed_parameter: str | None = None
    kind: Literal["function", "block", "command"] = "function"


class Seed(Part, frozen=True):
    """The integer from which random number generators were seeded.

    Attributes:
        value: The seed.
        origin: Source of the seed: an argument of the function, drawn at random, or given by a replay.
        parameter: Parameter that received the seed, or None.
        generators: Names of the generators that were seeded.
        deterministic: True if the process was started in deterministic mode.
        unseeded: Number of NumPy generators created without a seed, which took their entropy from this seed.
        spawned: Number of generators that `recorder.rng` returned.
        system_draws: Number of reads of the operating system's entropy, which a replay cannot repeat.
        kept: Packed states, by name, of the generators that the program had seeded itself before the run. They were not
            seeded from `value`; a replay restores them.
    """

    value: int
    origin: Literal["argument", "drawn", "replay"]
    parameter: str | None = None
    generators: tuple[str, ...] = ()
    deterministic: bool = False
    unseeded: int = 0
    spawned: int = 0
    system_draws: int = 0
    kept: dict[str, str] = {}

    @property
    def applies_to_all(self) -> bool:
        """True if the seed was requested explicitly, and therefore replaces the seeds that the program sets."""
        return self.origin == "argument" and self.parameter is None


class Ranks(Part, frozen=True):
    """The distributed job in which the process was rank 0.

    Attributes:
        launcher: Program that started the job.
        count: Number of ranks.
    """

    launcher: str
    count: int


class Process(Part, frozen=True):
    """The process of a run.

    Attributes:
        pid: Process id.
        host: Host name.
        user: User name.
        argv: Command-line arguments, as in ``sys.argv``.
        cwd: Working directory (absolute path).
        cwd_in_root: `cwd` relative to the root of the code; None if it is outside.
        path_in_root: Entries of ``sys.path`` inside the root, relative to it.
        hash_seed: Value of PYTHONHASHSEED; None if unset.
        hash_probe: Hash of a fixed string, in hexadecimal; processes with equal probes iterate over sets of strings in
            the same order.
        umask: Umask in octal.
        ranks: The distributed job, or None for a single process.
    """

    pid: int
    host: str
    user: str
    argv: tuple[str, ...]
    cwd: str
    cwd_in_root: str | None = None
    path_in_root: tuple[str, ...] = ()
    hash_seed: str | None = None
    hash_probe: str | None = None
    umask: str | None = None
    ranks: Ranks | None = None


class Runtime(Part, frozen=True):
    """The loaded part of the environment, at the beginning and at the end of a run.

    Attributes:
        start: Digest of the object that describes the beginning (see `recorder.capture.environment.runtime`).
        numerics: Digest of the native libraries and flags that decide how numbers are rounded, at the end of the run.
        end: Digest of the object that describes the end; None if nothing changed or the run did not end.
    """

    start: str
    numerics: str
    end: str | None = None

    @property
    def last(self) -> str:
        """Return the digest of the latest description: that of the end, or of the beginning if there is no end."""
        return self.end or self.start


class Input(Part, frozen=True):
    """A file that the run read.

    Attributes:
        path: Path relative to the root of the code if the file is inside it, or else absolute.
        digest: Digest of the bytes.
        size_bytes: Size of the file.
        in_root: True if the file is inside the root of the code.
        stored: True if the store holds the bytes; False if it holds only their digest.
    """

    path: str
    digest: str
    size_bytes: int
    in_root: bool = False
    stored: bool = False


class Output(Part, frozen=True):
    """A file, a folder or a value that the run saved or wrote.

    Attributes:
        name: Name of the output, unique within the run.
        kind: ``file``, ``folder`` or ``value``.
        digest: Digest of the file's bytes, of the folder's tree object, or of the canonical form of the value.
        size_bytes: Size of the content.
        path: Original path, relative to the working directory if inside it; None for a value.
        form: Form of the value; None for files and folders.
        found: True if the run wrote the file below the project's root or the working directory, but did not name it.
        stored: True if the store holds the content; False if it holds only the digest because the content is too large.
    """

    name: str
    kind: OutputKind
    digest: str
    size_bytes: int
    path: str | None = None
    form: JSON = None
    found: bool = False
    stored: bool = True


class Metric(Part, frozen=True):
    """A summary of a metric. Values that JSON cannot express are forms of the codec.

    Attributes:
        last, min, max: The last, the least and the greatest value.
        count: Number of points.
        last_step: Step of the last point.
    """

    last: JSON
    min: JSON
    max: JSON
    count: int
    last_step: int | float | None = None


class Failure(Part, frozen=True):
    """The exception that ended a run.

    Attributes:
        type: Class as ``module.QualName``.
        message: ``str()`` of the exception.
        traceback: Formatted traceback.
    """

    type: str
    message: str
    traceback: str


class Usage(Part, frozen=True):
    """The processor time and the memory that a run used.

    Attributes:
        cpu_user_s, cpu_system_s: Processor time of the process and its children, in seconds.
        peak_memory_bytes: Peak resident memory of the process; None if unknown.
        peak_memory_before_bytes: Peak before the run began. If it is not lower than `peak_memory_bytes`, that peak
            belongs to an earlier run of the same process.
    """

    cpu_user_s: float
    cpu_system_s: float
    peak_memory_bytes: int | None = None
    peak_memory_before_bytes: int | None = None


class Change(Part, frozen=True):
    """A config value that a replay was asked to change.

    Attributes:
        key: Dotted key of the config.
        old, new: Forms of both values; None if there is no value.
    """

    key: str
    old: JSON = None
    new: JSON = None


class Redacted(Part, frozen=True):
    """A credential that the record does not contain.

    Attributes:
        place: Location, such as ``config.db.password``, ``argv[3]``, ``variables.X``, ``code.remote`` or ``stdout``.
        marker: Keyed digest of the value. Equal values have equal markers under one user's key (see
            `recorder.secrets.key`); without that key a marker reveals nothing.
        reason: Reason why the value was taken for a credential.
    """

    place: str
    marker: str
    reason: str


class Hazard(Part, frozen=True):
    """An observation that may make a replay differ.

    Attributes:
        kind: One of `recorder.hazards.KINDS`.
        place: Line of the project's own code, for example ``train.py:12``; "" if unknown.
        detail: Description of the observation at that line.
    """

    kind: str
    place: str = ""
    detail: str = ""


class Verdict(Part, frozen=True):
    """The result of comparing a replay with its original.

    Attributes:
        of: Id of the original run.
        verdict: Verdict of the replay.
        counts: Number of deciding items by their verdict.
        reason: One sentence for display; "" if there is nothing to add.
        live_code: True if the replay was asked to run the project's current code instead of the recorded code.
    """

    of: str
    verdict: ReplayVerdict
    counts: Mapping[str, int] = {}
    reason: str = ""
    live_code: bool = False


class Tolerance(Part, frozen=True):
    """The tolerance within which numbers are close: ``|a-b| <= atol + rtol * max(|a|, |b|)``.

    Attributes:
        rtol: Relative tolerance, without unit.
        atol: Absolute tolerance, in the unit of the compared numbers.
    """

    rtol: float = 0.0
    atol: float = 0.0


class Record(Part, frozen=True, omit_defaults=False):
    """The document of a run, frozen once the run is finished.

    Every field is written; a missing value is null. Times are UTC. `tags`, `note` and `verdict` can be set later.

    Attributes:
        id: Global id, 20 characters, the same in every store.
        experiment: Name of the experiment.
        function: The function behind the experiment.
        started: Time at which the run began.
        format: Format number of the record.
        number: Number of the run in this store; 0 before the run begins.
        status: ``running``, ``finished``, ``failed``, ``interrupted`` or ``lost``.
        finished: Time at which the run ended; None while it runs or if it is lost.
        duration_s: Wall-clock duration in seconds.
        config: Form of each argument by its parameter, defaults applied.
        seed_info: The seed; None if the run has none.
        code: The code; None if it was not captured.
        environment: Digest of the object that describes interpreter, packages and platform.
        runtime: Loaded modules, native libraries and flags.
        process: The process.
        inputs: Files that the run read.
        result: Form of the returned value.
        outputs: Files, folders and values that the run saved or wrote.
        outputs_digest: Digest of the tree of all outputs.
        unlisted: Paths that this run or a concurrent run wrote; they are not outputs.
        metrics: Summary of each metric by its name.
        series: Points of the metrics as CSV with the columns name, step, time_s and value; gzipped if it is an object.
        stdout, stderr: Console output.
        arrivals: Times at which ranges of `stdout` and `stderr` arrived (see `recorder.formats.console_index`), gzipped
            if it is an object; None if nothing was printed or an earlier version recorded the run.
        failure: The exception that ended the run, or None.
        usage: Processor time and memory.
        warnings: Messages about anything that could not be recorded.
        fingerprint: Digest of everything that decides the run (see `fingerprint`).
        tolerance: Tolerances that the experiment declares, by patterns of names; replays are held to them.
        parent: Id of the run within which this run was started, or None.
        replay_of: Id of the run that this run replays, or None.
        changes: Config values that the replay was asked to change.
        redacted: Credentials that the record does not contain.
        hazards: Observations that may make a replay differ.
        tags: Tags of the run.
        note: Free text of the user.
        verdict: Result of the comparison with the original, for a replay.
        origin: Id of the store from which the run was imported; None if it was recorded here.
        signature: Signature of the recording user (see `recorder.store.signature`).
    """

    id: str
    experiment: str
    function: Function
    started: datetime
    format: int = FORMAT
    number: int = 0
    status: Status = "running"
    finished: datetime | None = None
    duration_s: float | None = None
    config: dict[str, JSON] = {}
    seed_info: Seed | None = None
    code: Code | None = None
    environment: str | None = None
    runtime: Runtime | None = None
    process: Process | None = None
    inputs: tuple[Input, ...] = ()
    result: JSON = None
    outputs: tuple[Output, ...] = ()
    outputs_digest: str | None = None
    unlisted: tuple[str, ...] = ()
    metrics: dict[str, Metric] = {}
    series: StoredBytes | None = None
    stdout: StoredBytes | None = None
    stderr: StoredBytes | None = None
    arrivals: StoredBytes | None = None
    failure: Failure | None = None
    usage: Usage | None = None
    warnings: tuple[str, ...] = ()
    fingerprint: str | None = None
    tolerance: dict[str, Tolerance] = {}
    parent: str | None = None
    replay_of: str | None = None
    changes: tuple[Change, ...] = ()
    redacted: tuple[Redacted, ...] = ()
    hazards: tuple[Hazard, ...] = ()
    tags: tuple[str, ...] = ()
    note: str = ""
    verdict: Verdict | None = None
    origin: str | None = None
    signature: str | None = None

    @property
    def seed(self) -> int | None:
        """Return the seed, or None if the run has none."""
        return None if self.seed_info is None else self.seed_info.value

    def to_document(self) -> dict[str, JSON]:
        """Return the record as plain JSON, as the journal keeps it."""
        document: dict[str, JSON] = msgspec.to_builtins(self)
        return document

    @classmethod
    def from_document(cls, document: Mapping[str, JSON]) -> "Record":
        """Return the record that `to_document` wrote; raise msgspec.ValidationError if the document is not a record."""
        return msgspec.convert(document, cls)


def new_id() -> str:
    """Return a new global id: 20 characters with 99 random bits.

    The id begins with a letter, so that a prefix of an id cannot be mistaken for the number of a run.
    """
    letters, drawn = _ID_ALPHABET[10:], os.urandom(ID_LENGTH + 7)
    # 64 bits modulo 22: the bias towards some letters is negligible.
    first = letters[int.from_bytes(drawn[:8], "big") % len(letters)]
    return first + "".join([_ID_ALPHABET[byte % 32] for byte in drawn[8:]])


def fingerprint(record: Record) -> str:
    """Return the digest of everything that decides the run: code, experiment, config, seed, inputs and environment."""
    code, runtime = record.code, record.runtime
    projects = () if code is None else code.projects
    return digest_json(
        "fingerprint",
        {
            **({} if runtime is None else {"numerics": runtime.numerics}),
            **({"projects": [[p.name, p.snapshot] for p in projects]} if projects else {}),
            **_known_before(record),
            "inputs": sorted([item.path, item.digest] for item in record.inputs),
        },
    )


def prospect(record: Record) -> str:
    """Return the digest of the part of a fingerprint that is known before the run, and of how its process was started.

    A drawn seed is represented by the word "drawn", because its value differs in every run.
    """
    seed, process, config = record.seed_info, record.process, record.config
    seed_value: JSON = record.seed
    if seed is not None and seed.origin == "drawn":
        seed_value = "drawn"
        config = {name: form for name, form in config.items() if name != seed.parameter}
    return digest_json(
        "prospect",
        {
            **_known_before(record),
            "config": digest_json("config", config),
            "seed": [seed_value, False if seed is None else seed.deterministic],
            "process": None
            if process is None
            else [process.hash_seed, process.cwd_in_root or process.cwd, list(process.argv[1:])],
        },
    )


def _known_before(record: Record) -> dict[str, JSON]:
    function, code = record.function, record.code
    kept = {} if record.seed_info is None else record.seed_info.kept
    return {
        "experiment": [function.module, function.qualname, function.source],
        "code": code.snapshot if code else None,
        "config": digest_json("config", record.config),
        "seed": record.seed,
        "environment": record.environment,
        **({"kept": digest_json("kept", dict(kept))} if kept else {}),
    }
