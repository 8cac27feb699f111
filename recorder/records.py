"""The record of a run: the one schema, frozen, and the format number of the store.

A `Record` is what the journal keeps for a run. It holds no value that only Python can read: values
are forms of the codec (plain JSON, tagged where plain JSON cannot say it), large content is an object
named by its digest.

Its annotations are evaluated where they stand: msgspec would evaluate them as texts, one by one, when it first reads a
record, which takes as long as to read forty.
"""

import os
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, TypeAlias

import msgspec

from .digest import digest_json

FORMAT = 1

# What plain JSON says: what the codec's forms are made of.
JSON: TypeAlias = Any

Status: TypeAlias = Literal["running", "finished", "failed", "interrupted", "lost"]
OutputKind: TypeAlias = Literal["file", "folder", "value"]
ItemVerdict: TypeAlias = Literal[
    "identical", "equal", "close", "different", "missing", "extra", "opaque"
]
ReplayVerdict: TypeAlias = Literal[
    "reproduced", "close", "diverged", "failed", "nothing verified", "changed"
]

# Crockford's base 32 in lower case: no i, l, o, u, so that an id can be read out loud.
_ID_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
ID_LENGTH = 20


class Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A frozen part of a record; a field left at its default is not written."""


class StoredBytes(Part, frozen=True):
    """Bytes that a run left: inline as `text` where they are small UTF-8 text, else an object."""

    digest: str
    size_bytes: int
    text: str | None = None


class Skipped(Part, frozen=True):
    """A file that the snapshot left out: its path in the tree, and why."""

    path: str
    reason: str
    size_bytes: int | None = None


class Submodule(Part, frozen=True):
    """A submodule by its path, and the commit that it was at; `dirty` is None where it is not checked out."""

    path: str
    commit: str | None = None
    dirty: bool | None = None


class Project(Part, frozen=True):
    """A project outside the root that the run imported from its folder, as an editable install is.

    `name` is the distribution's, else the folder's; the rest is as of `Code`.
    """

    name: str
    root: str
    snapshot: str | None = None
    commit: str | None = None
    dirty: bool | None = None
    skipped: tuple[Skipped, ...] = ()


class Code(Part, frozen=True):
    """The code as it was: where the user keeps it, and the snapshot that holds exactly what ran.

    `root` is the folder on the recording machine (absolute); `snapshot` the git tree in the store's
    code.git; `changed` the paths, relative to the repository, in which the working tree differs from
    `commit` (modified, deleted and untracked ones); `skipped` what the snapshot does not hold; `submodules` the
    repository's, whose files the snapshot holds; `projects` what else the run imported that is the user's own.
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
    projects: tuple[Project, ...] = ()


class Function(Part, frozen=True):
    """The function behind an experiment, and how to find it again.

    `file` is relative to the code's root, with slashes; `script` says that the file ran as
    ``__main__``; `source` is the digest of the function's own text; `pickled` the form of a
    function that no module holds (a notebook's, a REPL's, a closure). `kind` tells a function (a generator
    included) from a block of code (`start_run`), whose `qualname` is that of the code around it, and from a
    command line.
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
    """The integer from which every generator was seeded, and which ones were.

    `origin` says whence it came: an argument, drawn afresh, or given by a replay. `deterministic` says that the
    process was started to compute deterministically. `unseeded` counts NumPy's generators that were made without a
    seed and took their entropy from this one, `spawned` those that `rng` gave, and `system_draws` the draws of
    the operating system's entropy, which no replay repeats.
    """

    value: int
    origin: Literal["argument", "drawn", "replay"]
    parameter: str | None = None
    generators: tuple[str, ...] = ()
    deterministic: bool = False
    unseeded: int = 0
    spawned: int = 0
    system_draws: int = 0


class Ranks(Part, frozen=True):
    """The job of which the process was the first rank: what started it, and how many ranks there were."""

    launcher: str
    count: int


class Process(Part, frozen=True):
    """The process that ran: what it was started with and where.

    `cwd` is absolute; `cwd_in_root` the same relative to the code's root, None where it lies outside;
    `path_in_root` the folders of sys.path that lie in the root, relative to it; `hash_seed` the value of
    PYTHONHASHSEED, None where it was not fixed, and `hash_probe` the hash of a string under it, in hex, the same
    where the order of sets is; `umask` in octal; `ranks` the job where it was one of several processes.
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
    """What of the environment was loaded and how it was set, as the run began and as it ended.

    `start` and `end` name objects (see `recorder.capture.environment.runtime`), `end` None where nothing changed
    or the run did
    not end; `numerics` is the digest of the last one's native libraries and flags, which decide how numbers are
    rounded.
    """

    start: str
    numerics: str
    end: str | None = None

    @property
    def last(self) -> str:
        """The object that says how the run ended, or, of one that did not, how it began."""
        return self.end or self.start


class Input(Part, frozen=True):
    """A file that the run read: its path (relative to the root where it lies inside) and content.

    `stored` says whether the store holds the bytes or knows only the digest.
    """

    path: str
    digest: str
    size_bytes: int
    in_root: bool = False
    stored: bool = False


class Output(Part, frozen=True):
    """Something that the run saved under `name`: a file, a folder (a tree object) or a value.

    `digest` names the file's bytes, the tree, or the value's canonical form. `path` is where the file
    or folder lay, relative to the working directory where it was inside. `form` holds a value. `found` says that
    nobody named the file: the run wrote it below the project's root or the working directory. `stored` says whether
    the store holds it or, for its size, knows only its digest.
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
    """A series in five numbers. Values that JSON cannot say are forms of the codec."""

    last: JSON
    min: JSON
    max: JSON
    count: int
    last_step: int | float | None = None


class Failure(Part, frozen=True):
    """The exception that ended a run: its class as ``module.QualName``, its text, its traceback."""

    type: str
    message: str
    traceback: str


class Usage(Part, frozen=True):
    """What the run took: seconds of processor time of the process and of its children, and the process's peak memory.

    A peak that is no higher than `peak_memory_before_bytes` is that of an earlier run of the same process.
    """

    cpu_user_s: float
    cpu_system_s: float
    peak_memory_bytes: int | None = None
    peak_memory_before_bytes: int | None = None


class Change(Part, frozen=True):
    """What a replay was told to change in the config: a form each, None where there was none."""

    key: str
    old: JSON = None
    new: JSON = None


class Redacted(Part, frozen=True):
    """A credential that the record does not hold: where it stood, and why it was taken for one.

    `place` is ``config.db.password``, ``argv[3]``, ``variables.X``, ``code.remote``, ``stdout`` and the like. Equal
    values have equal markers under one user's key (see `recorder.secrets.key`), without which a marker says nothing.
    """

    place: str
    marker: str
    reason: str


class Hazard(Part, frozen=True):
    """Something that may make a replay come out otherwise, and what caused it.

    `kind` is one of `recorder.hazards.KINDS`; `place` the line of the project's own code, ``train.py:12``, "" where
    there is none; `detail` what it was there.
    """

    kind: str
    place: str = ""
    detail: str = ""


class Verdict(Part, frozen=True):
    """What came of comparing a replay with its original: the verdict, and how many items got which.

    `live_code` says that the replay ran, on purpose, the project's code as it was then, and not the recorded one.
    """

    of: str
    verdict: ReplayVerdict
    counts: Mapping[str, int] = {}
    reason: str = ""
    live_code: bool = False


class Tolerance(Part, frozen=True):
    """Up to what difference numbers count as close: ``|a-b| <= atol + rtol * max(|a|, |b|)``."""

    rtol: float = 0.0
    atol: float = 0.0


class Record(Part, frozen=True, omit_defaults=False):
    """The document of a run; frozen once the run is finished. Every field is written, null where there is nothing.

    `number` is the run's number in this store, given when it begins, and 0 before that; `id` is the same
    in every store; `experiment` is the experiment's name.
    `config` maps each parameter to the form of its argument, defaults applied.
    `outputs_digest` is that of the artifact folder; `unlisted` names the files that this run or another one beside it
    wrote, which are no outputs. `series` holds the metrics' points as CSV with the columns name, step, time_s, value,
    gzipped where it is an object; `arrivals` (see `recorder.formats.console_index`), gzipped likewise, says when
    which bytes of
    `stdout` and `stderr` came, None of a run that printed nothing, or that an earlier version recorded. `tolerance` is
    what the experiment declared, by patterns of names; a replay is held to it. Times are UTC. `tags`, `note` and
    `verdict` may be set later. `origin` is the id of the store that the run was imported from, None for one that was
    recorded here; `signature` its user's, see `recorder.store.signature`.
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
        """The seed's integer."""
        return None if self.seed_info is None else self.seed_info.value

    def to_document(self) -> dict[str, JSON]:
        """The record as plain JSON values, as the journal keeps it."""
        document: dict[str, JSON] = msgspec.to_builtins(self)
        return document

    @classmethod
    def from_document(cls, document: Mapping[str, JSON]) -> "Record":
        """The record that `to_document` wrote; msgspec.ValidationError where it is none."""
        return msgspec.convert(document, cls)


def new_id() -> str:
    """A fresh global id: 20 characters, 99 random bits, beginning with a letter.

    The letter tells an id's prefix from a run's number.
    """
    letters, drawn = _ID_ALPHABET[10:], os.urandom(ID_LENGTH + 7)
    # (Of 64 bits modulo 22 none of the letters comes noticeably more often.)
    first = letters[int.from_bytes(drawn[:8], "big") % len(letters)]
    return first + "".join([_ID_ALPHABET[byte % 32] for byte in drawn[8:]])


def fingerprint(record: Record) -> str:
    """The digest of all that decides the run: code, experiment, config, seed, inputs, environment."""
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
    """The digest of what of a fingerprint is known before the run, and of how its process was started.

    Of a seed that nobody gave it has only that.
    """
    seed, process, config = record.seed_info, record.process, record.config
    said: JSON = record.seed
    if seed is not None and seed.origin == "drawn":
        said = "drawn"
        config = {name: form for name, form in config.items() if name != seed.parameter}
    return digest_json(
        "prospect",
        {
            **_known_before(record),
            "config": digest_json("config", config),
            "seed": [said, False if seed is None else seed.deterministic],
            "process": None
            if process is None
            else [process.hash_seed, process.cwd_in_root or process.cwd, list(process.argv[1:])],
        },
    )


def _known_before(record: Record) -> dict[str, JSON]:
    function, code = record.function, record.code
    return {
        "experiment": [function.module, function.qualname, function.source],
        "code": code.snapshot if code else None,
        "config": digest_json("config", record.config),
        "seed": record.seed,
        "environment": record.environment,
    }
