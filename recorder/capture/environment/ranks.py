"""The rank of this process in a multi-process job, from the variables of torchrun, MPI, and Slurm.

One job is one run: the first rank records it, the others run the same function without recording. All ranks plant the
same seed. If it has to be drawn, each rank derives it from facts that all ranks of this job share and no other job
has: the ids of the batch system, or the process that started all of them.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from ...digest import PREFIX, digest_json
from ...records import Ranks, Seed

# With the value "all", every rank records its own run, for tasks that are independent of each other.
VARIABLE = "RECORDER_RANKS"

_NO_COMMON_SEED = (
    "the ranks of this job have no common id to derive a seed from, so only the first rank is seeded;"
    " pass a seed to the experiment"
)

# Slurm's special steps have ids from here up: the batch script, the interactive shell, the extern step.
_SLURM_SPECIAL_STEPS = 0xFFFFFFF0
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_PROC = Path("/proc")


class Rank(NamedTuple):
    """The `position` of this process, from 0, in a job of `size`. The launcher sets it in `variable`."""

    launcher: str
    position: int
    size: int
    variable: str

    @property
    def is_first(self) -> bool:
        """True for the rank that records."""
        return self.position == 0

    @property
    def is_nested(self) -> bool:
        """True if a Python process of this rank started this one: a worker, a fork, a script."""
        return _find_starter(self.variable, str(self.position), os.getpid()).is_nested

    @property
    def ranks(self) -> Ranks:
        """The part of the record that describes the job."""
        return Ranks(launcher=self.launcher, count=self.size)


# Inner launchers come first: torchrun is started by srun, mpirun from a batch script.
_LAUNCHERS = (
    ("torchrun", "RANK", "WORLD_SIZE"),
    ("Open MPI", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("MVAPICH", "MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE"),
    ("MPICH", "PMI_RANK", "PMI_SIZE"),  # Intel MPI too
)


def find_rank(environ: Mapping[str, str] = os.environ) -> Rank | None:
    """Return the rank according to the environment, or None outside a job and in a job of one process."""
    if environ.get(VARIABLE) == "all":
        return None
    rank = _innermost(environ)
    return rank if rank is not None and rank.size > 1 else None


def _innermost(environ: Mapping[str, str]) -> Rank | None:
    slurm = _slurm_rank(environ)
    for launcher, variable, size in _LAUNCHERS:
        rank = _make_rank(launcher, variable, environ.get(variable), environ.get(size))
        if rank is not None:
            # srun sets the variables of PMI for its own tasks too.
            is_slurm = launcher == "MPICH" and slurm is not None and slurm[1:3] == rank[1:3]
            return slurm if is_slurm else rank
    return slurm


def _slurm_rank(environ: Mapping[str, str]) -> Rank | None:
    # Only steps started by srun count. The shell of a batch script is not one, whatever size it requested.
    step = environ.get("SLURM_STEP_ID", environ.get("SLURM_STEPID", ""))
    if not step.isdecimal() or int(step) >= _SLURM_SPECIAL_STEPS:
        return None
    size = environ.get("SLURM_STEP_NUM_TASKS", environ.get("SLURM_NTASKS"))
    return _make_rank("Slurm", "SLURM_PROCID", environ.get("SLURM_PROCID"), size)


def _make_rank(launcher: str, variable: str, position: str | None, size: str | None) -> Rank | None:
    if not (position and size and position.isdecimal() and size.isdecimal()):
        return None
    rank = Rank(launcher, int(position), int(size), variable)
    return rank if rank.position < rank.size else None


# A common seed


# The number of calls of each experiment in this process.
_calls: dict[str, Iterator[int]] = {}


def draw_common_seed(
    rank: Rank, *, experiment: str, environ: Mapping[str, str] = os.environ
) -> int | None:
    """Return the seed that every rank of the job draws for this call of `experiment`, 0 <= seed < 2**31.

    Ask once per call: the first call of an experiment gets one seed in all ranks, the second call another. Returns
    None if the ranks have no common id, and in a process that a rank has started.
    """
    call = next(_calls.setdefault(experiment, itertools.count()))
    job = _find_job(rank, environ)
    if job is None:
        return None
    digest = digest_json("seed", [job, experiment, call])
    return int(digest.removeprefix(PREFIX)[:8], 16) % 2**31


def warn_of_seed(rank: Rank | None, seed: Seed, *, common: int | None) -> tuple[str, ...]:
    """Return a warning if the other ranks of a job cannot have the first one's seed."""
    if rank is None or seed.origin != "drawn" or common is not None or rank.is_nested:
        return ()
    return (_NO_COMMON_SEED,)


def _find_job(rank: Rank, environ: Mapping[str, str]) -> list[str] | None:
    """Return facts that all ranks of this job share, and no other job has."""
    starter = _find_starter(rank.variable, str(rank.position), os.getpid())
    if starter.is_nested:
        return None
    shared = _shared_names(rank, environ)
    if not shared and starter.identity and _is_on_one_machine(rank, environ):
        shared = [starter.identity]
    if not shared:
        return None
    restarts = ("TORCHELASTIC_RESTART_COUNT", "SLURM_RESTART_COUNT")
    return [rank.launcher, str(rank.size), *shared, *(environ.get(name, "") for name in restarts)]


def _shared_names(rank: Rank, environ: Mapping[str, str]) -> list[str]:
    """Return the name of the job that the launcher passes to every rank on every machine."""
    step = [environ.get(name, "") for name in ("SLURM_JOB_ID", "SLURM_STEP_ID")]
    if rank.launcher == "Slurm":
        return step
    if rank.launcher == "Open MPI":
        name = environ.get("PMIX_NAMESPACE") or environ.get("OMPI_MCA_ess_base_jobid")
        return [name] if name else []
    if rank.launcher == "torchrun" and not _is_on_one_machine(rank, environ):
        name = environ.get("TORCHELASTIC_RUN_ID", "none")
        where = [environ.get("MASTER_ADDR", ""), environ.get("MASTER_PORT", "")]
        if all(step):
            return step
        return [name, *where] if name != "none" else []
    return []


_LOCAL_SIZES = {
    "torchrun": "LOCAL_WORLD_SIZE",
    "Open MPI": "OMPI_COMM_WORLD_LOCAL_SIZE",
    "MVAPICH": "MV2_COMM_WORLD_LOCAL_SIZE",
    "MPICH": "MPI_LOCALNRANKS",
}


def _is_on_one_machine(rank: Rank, environ: Mapping[str, str]) -> bool:
    local = environ.get(_LOCAL_SIZES.get(rank.launcher, ""))
    if local is None and rank.launcher == "torchrun":
        return environ.get("MASTER_ADDR") in _LOOPBACK
    return local == str(rank.size)


class _Starter(NamedTuple):
    """The starter of this process: a launcher with a unique identity, or a process of the same rank (nested)."""

    identity: str | None
    is_nested: bool


@lru_cache(maxsize=8)
def _find_starter(variable: str, position: str, _pid: int) -> _Starter:
    """Find the first ancestor outside this rank. A shell in between only passes the variables on."""
    wanted = os.fsencode(f"{variable}={position}")
    pid = os.getppid()
    while pid > 0 and wanted in _read(pid, "environ").split(b"\0"):
        if _is_python(pid):
            return _Starter(None, is_nested=True)
        pid = _parent(pid)
    boot = _read_file(_PROC / "sys/kernel/random/boot_id").decode().strip()
    status = _status(pid) if pid > 0 else []
    return _Starter(f"{boot} {pid} {status[19]}" if boot and status else None, is_nested=False)


def _is_python(pid: int) -> bool:
    try:
        return "python" in (_PROC / str(pid) / "exe").readlink().name
    except OSError:
        return False


def _parent(pid: int) -> int:
    status = _status(pid)
    return int(status[1]) if status else 0


def _status(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat after the name, which can hold anything: state, parent, ..., start (20th)."""
    return _read(pid, "stat").decode(errors="replace").rpartition(")")[2].split()


def _read(pid: int, name: str) -> bytes:
    return _read_file(_PROC / str(pid) / name)


def _read_file(path: Path) -> bytes:
    """Return the file's bytes, or b"" if it cannot be read: without /proc, or for another user's process."""
    try:
        return path.read_bytes()
    except OSError:
        return b""
