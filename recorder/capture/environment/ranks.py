"""The rank of this process in a job of several, from the variables that torchrun, MPI and Slurm set.

One job is one run: the first rank records it, the others run the same function without. All of them plant the
same seed. Where one has to be drawn, each rank derives it from what every rank of the job knows and no other job
does: the batch system's ids, or the process that started them all.
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

# With the value "all" every rank records a run of its own: for tasks that have nothing to do with each other.
VARIABLE = "RECORDER_RANKS"

_NO_COMMON_SEED = (
    "the ranks of this job know nothing that only they know, to draw a common seed from: only the first rank"
    " is seeded; hand the experiment a seed"
)

# Slurm's own steps have ids from here on: the batch script, the interactive shell, the extern step.
_SLURM_SPECIAL_STEPS = 0xFFFFFFF0
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_PROC = Path("/proc")


class Rank(NamedTuple):
    """This process's `position`, from 0, among the `size` of its job; `variable` is where the launcher said so."""

    launcher: str
    position: int
    size: int
    variable: str

    @property
    def is_first(self) -> bool:
        """Whether this is the rank that records."""
        return self.position == 0

    @property
    def is_nested(self) -> bool:
        """Whether a Python process of this rank started this one, not the launcher: a worker, a fork, a script."""
        return _find_starter(self.variable, str(self.position), os.getpid()).is_nested

    @property
    def ranks(self) -> Ranks:
        """The record's part for the job."""
        return Ranks(launcher=self.launcher, count=self.size)


# Those that run inside others come first: torchrun is started by srun, mpirun from a batch script.
_LAUNCHERS = (
    ("torchrun", "RANK", "WORLD_SIZE"),
    ("Open MPI", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("MVAPICH", "MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE"),
    ("MPICH", "PMI_RANK", "PMI_SIZE"),  # Intel MPI too
)


def find_rank(environ: Mapping[str, str] = os.environ) -> Rank | None:
    """The rank as the environment has it now; None outside a job, and in a job of one."""
    if environ.get(VARIABLE) == "all":
        return None
    rank = _innermost(environ)
    return rank if rank is not None and rank.size > 1 else None


def _innermost(environ: Mapping[str, str]) -> Rank | None:
    slurm = _slurm_rank(environ)
    for launcher, variable, size in _LAUNCHERS:
        rank = _make_rank(launcher, variable, environ.get(variable), environ.get(size))
        if rank is not None:
            # srun sets PMI's variables for the tasks that it starts itself.
            is_slurm = launcher == "MPICH" and slurm is not None and slurm[1:3] == rank[1:3]
            return slurm if is_slurm else rank
    return slurm


def _slurm_rank(environ: Mapping[str, str]) -> Rank | None:
    """The task of a step that srun started; the shell of a batch script has no such step, whatever it asked for."""
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


# A seed for all


# How often each experiment was called in this process.
_calls: dict[str, Iterator[int]] = {}


def draw_common_seed(
    rank: Rank, *, experiment: str, environ: Mapping[str, str] = os.environ
) -> int | None:
    """The seed that every rank of the job draws for this call of `experiment`, 0 <= seed < 2**31.

    To be asked once for each call: the first call of an experiment gets one seed in all ranks, the second
    another. None where the ranks know nothing in common, and in a process that a rank has started itself.
    """
    call = next(_calls.setdefault(experiment, itertools.count()))
    job = _find_job(rank, environ)
    if job is None:
        return None
    digest = digest_json("seed", [job, experiment, call])
    return int(digest.removeprefix(PREFIX)[:8], 16) % 2**31


def warn_of_seed(rank: Rank | None, seed: Seed, *, common: int | None) -> tuple[str, ...]:
    """What to say where the other ranks of a job cannot have the first one's seed."""
    if rank is None or seed.origin != "drawn" or common is not None or rank.is_nested:
        return ()
    return (_NO_COMMON_SEED,)


def _find_job(rank: Rank, environ: Mapping[str, str]) -> list[str] | None:
    """What every rank of this job knows, and no other job."""
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
    """The job's name, which the launcher hands to every rank on every machine."""
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
    """Who started this process: the launcher, by a name that no other process ever has, or a process of the rank."""

    identity: str | None
    is_nested: bool


@lru_cache(maxsize=8)
def _find_starter(variable: str, position: str, _pid: int) -> _Starter:
    """Climb to the first ancestor that is not of this rank; a shell in between only hands the variables on."""
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
    """The fields of /proc/PID/stat behind the name, which may hold anything: state, parent, ..., start (20th)."""
    return _read(pid, "stat").decode(errors="replace").rpartition(")")[2].split()


def _read(pid: int, name: str) -> bytes:
    return _read_file(_PROC / str(pid) / name)


def _read_file(path: Path) -> bytes:
    """The file's bytes, none where it cannot be read: there is no /proc here, or it is another user's process."""
    try:
        return path.read_bytes()
    except OSError:
        return b""
