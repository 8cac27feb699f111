"""What may decide how a run comes out, and what to change to find out: the experiments of an explanation.

They are ordered by what points to them: the hazards in the records, and what differs now.
"""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ..capture.determinism import HASH_SEED, THREADS, fixed_variables
from ..capture.hardware import describe_platform
from ..grade import KINDS
from ..records import Part, Record
from ..store.store import Store
from .inputs import Source
from .replay import Replay
from .request import Request
from .surroundings import describe_deviations, processors

# So many hash seeds are tried: a set of few texts soon has the order that it had.
_HASH_SEEDS = 4


class Change(Part, frozen=True):
    """What is otherwise in a replay than asked for, `said` in words; None, or nothing, where it is the same.

    `processors` is how many of them the process may use; `inputs` are files that take the place of others.
    """

    said: str
    variables: Mapping[str, str] = {}
    inputs: Mapping[str, str] = {}
    live_inputs: bool | None = None
    here: bool | None = None
    interpreter: str | None = None
    processors: int | None = None

    def apply(self, request: Request) -> Request:
        """The request with it."""
        given = {old: new for old, new in request.inputs.items() if old not in self.inputs}
        return msgspec.structs.replace(
            request,
            variables={**request.variables, **self.variables},
            # What is named first is looked for first: a folder that was given comes after a file of it.
            inputs={**self.inputs, **given},
            live_inputs=request.live_inputs if self.live_inputs is None else self.live_inputs,
            here=request.here if self.here is None else self.here,
            interpreter=self.interpreter or request.interpreter,
        )


def join_changes(changes: Sequence[Change]) -> Change:
    """All of them at once."""
    merged = Change(said=" and ".join(one.said for one in changes))
    for one in changes:
        merged = msgspec.structs.replace(
            merged,
            variables={**merged.variables, **one.variables},
            inputs={**merged.inputs, **one.inputs},
            live_inputs=merged.live_inputs if one.live_inputs is None else one.live_inputs,
            here=merged.here if one.here is None else one.here,
            interpreter=one.interpreter or merged.interpreter,
            processors=merged.processors or one.processors,
        )
    return merged


class Factor(Part, frozen=True):
    """Something that a result may depend on, `what` in words, with the changes that would show it.

    `kinds` are the hazards that point to it, `advice` what to do about it. `is_steadying` says that a change may make
    replays agree that do not; otherwise it can only explain what comes out alike each time. `is_pointed_to` says that
    something in the records, or what differs now, speaks for it.
    """

    what: str
    changes: tuple[Change, ...]
    advice: str
    kinds: tuple[str, ...] = ()
    is_steadying: bool = False
    is_pointed_to: bool = False


def find_factors(
    store: Store, base: Replay, request: Request, *, folder: Path, is_varying: bool
) -> list[Factor]:
    """What may be why the replay `base`, made by the request, came out otherwise, the likeliest first.

    `folder` is an empty one, for the stored inputs; `is_varying`: another replay came out otherwise again.
    """
    found = [
        *_code(base.original, request),
        *_inputs(store, base, request, folder),
        *_packages(base, request),
        *_hash_seed(base, request),
        *_algorithms(store, base),
        *_threads(store, base),
        *_processors(base),
        *_instructions(store, base, request),
    ]
    found.sort(key=lambda one: (not one.is_pointed_to, one.is_steadying != is_varying))
    return found


def _code(record: Record, request: Request) -> Iterator[Factor]:
    if request.here:
        yield Factor(
            what=f"the project's code, which has changed since run {record.number} was recorded",
            changes=(Change(said="the recorded code", here=False),),
            advice=f"recorder diff {record.number} . says what has changed",
            is_pointed_to=True,
        )


def _inputs(store: Store, base: Replay, request: Request, folder: Path) -> Iterator[Factor]:
    """Files that were read where they are, though they have changed: the stored ones, one by one and then all."""
    number = base.original.number
    advice = "take the recorded file, or record the experiment anew with the one that is there now"
    changed = [one for one in base.plan.sources if one.changed and store.objects.has(one.digest)]
    for index, source in enumerate(changed):
        place = folder / str(index) / Path(source.path).name
        place.parent.mkdir()
        store.objects.restore_file(source.digest, place)
        yield Factor(
            what=f"{source.path}, which has changed since run {number} was recorded",
            changes=(Change(said=f"the stored {place.name}", inputs={source.path: str(place)}),),
            advice=advice,
            is_pointed_to=True,
        )
    unused = [one for one in base.plan.sources if _is_unused(one)]
    if unused and not request.live_inputs:
        yield Factor(
            what=f"{_names(unused)}, as on this machine now, and not as stored with run {number}",
            changes=(Change(said="the inputs that are there now", live_inputs=True),),
            advice="name the files with recorder.input(path) before they are written to",
        )


def _is_unused(source: Source) -> bool:
    return source.changed_in_place and not source.in_root and Path(source.path).is_file()


def _names(sources: Iterable[Source]) -> str:
    return ", ".join(source.path for source in sources)


def _packages(base: Replay, request: Request) -> Iterator[Factor]:
    """Python and the packages that the run had imported, where others are there now."""
    differing = [
        one
        for one in base.plan.deviations
        if one.matters and one.key.startswith(("packages.", "python."))
    ]
    changes = []
    if request.interpreter != sys.executable:
        changes.append(Change(said=f"the Python in {sys.prefix}", interpreter=sys.executable))
    if differing and changes:
        yield Factor(
            what=f"what is installed, where run {base.original.number} had another"
            f" ({'; '.join(describe_deviations(tuple(differing)))})",
            changes=tuple(changes),
            advice=f"install what it had: recorder env {base.original.number} prints it",
            is_pointed_to=True,
        )


def _hash_seed(base: Replay, request: Request) -> Iterator[Factor]:
    process = base.original.process
    if (process is None or process.hash_seed is None) and HASH_SEED not in request.variables:
        yield Factor(
            what=f"PYTHONHASHSEED, which was not fixed when run {base.original.number} was recorded",
            changes=tuple(
                Change(said=f"{HASH_SEED}={seed}", variables={HASH_SEED: str(seed)})
                for seed in range(_HASH_SEEDS)
            ),
            advice=KINDS["hash order"].advice,
            kinds=("hash order",),
            is_steadying=True,
            is_pointed_to=_has_hazard(base, "hash order"),
        )


def _algorithms(store: Store, base: Replay) -> Iterator[Factor]:
    """Deterministic algorithms, with as many threads as before."""
    seed = base.original.seed_info
    if {"torch", "tensorflow", "jax"} & _imported(store, base) and not (
        seed and seed.deterministic
    ):
        fixed = fixed_variables({}, deterministic=True)
        yield Factor(
            what="algorithms that are not deterministic",
            changes=(
                Change(
                    said="deterministic algorithms",
                    variables={k: v for k, v in fixed.items() if k not in (*THREADS, HASH_SEED)},
                ),
            ),
            advice="torch.use_deterministic_algorithms(True), or recorder run --deterministic",
            kinds=("GPU",),
            is_steadying=True,
            is_pointed_to=_has_hazard(base, "GPU", "threads"),
        )


def _threads(store: Store, base: Replay) -> Iterator[Factor]:
    libraries = _runtime(store, base.record).get("libraries") or []
    if any(one.get("threads", 1) > 1 for one in libraries):
        yield Factor(
            what="the number of threads that add up, and the order in which they do",
            changes=(Change(said="one thread", variables=dict.fromkeys(THREADS, "1")),),
            advice="record it with one thread: recorder run --threads 1, or OMP_NUM_THREADS=1",
            kinds=("threads",),
            is_steadying=True,
            is_pointed_to=_has_hazard(base, "threads"),
        )


def _processors(base: Replay) -> Iterator[Factor]:
    """How many processors the process may use, which many a program makes as many workers of."""
    count = processors()
    if count > 1:
        yield Factor(
            what=f"the number of processors, {count} of which it may use here",
            changes=(Change(said="one processor", processors=1),),
            advice="make the number of workers or threads an argument, and give it",
            is_steadying=True,
            is_pointed_to=any(one.key == "platform.cpu.count" for one in base.plan.deviations),
        )


# How the libraries are told to use no more than a level of x86: OpenBLAS, MKL, oneDNN, PyTorch's own kernels.
_LEVELS = {
    "AVX2": {
        "OPENBLAS_CORETYPE": "Haswell",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "MKL_CBWR": "AVX2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "ATEN_CPU_CAPABILITY": "avx2",
    },
    "SSE4.2": {
        "OPENBLAS_CORETYPE": "Nehalem",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
        "MKL_CBWR": "SSE4_2",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "ATEN_CPU_CAPABILITY": "default",
    },
}
# What NumPy calls that which is above a level.
_ABOVE = {"AVX2": re.compile(r"AVX512|X86_V4"), "SSE4.2": re.compile(r"AVX|X86_V[34]|FMA|F16C|XOP")}
_ABOVE_FLAG = {"AVX2": "avx512f", "SSE4.2": "avx2"}
_DISPATCHED = """
import json
try:
    from numpy._core._multiarray_umath import __cpu_dispatch__ as known, __cpu_features__ as here
except ImportError:
    from numpy.core._multiarray_umath import __cpu_dispatch__ as known, __cpu_features__ as here
print(json.dumps([name for name in known if here.get(name)]))
"""


def _instructions(store: Store, base: Replay, request: Request) -> Iterator[Factor]:
    """The processor's instruction sets, down to those of the processor that recorded, else to each lower level."""
    imported = _imported(store, base)
    if platform.machine().lower() not in ("x86_64", "amd64") or not {"numpy", "torch"} & imported:
        return
    here = _flags(describe_platform())
    recorded = _flags(_environment(store, base.original).get("platform") or {})
    levels = [level for level in _LEVELS if _ABOVE_FLAG[level] in here]
    levels.sort(key=lambda level: _ABOVE_FLAG[level] in recorded)
    dispatched = numpy_dispatch(request.interpreter) if "numpy" in imported and levels else []
    changes = [_level(level, dispatched) for level in levels]
    core = _openblas_core(store, base.original)
    # (What this processor lacks would be its process's death.)
    is_other = core not in (None, _openblas_core(store, base.record)) and recorded <= here
    if core is not None and is_other:
        said = f"OpenBLAS's code for {core}"
        changes.insert(0, Change(said=said, variables={"OPENBLAS_CORETYPE": core}))
    if changes:
        yield Factor(
            what="the processor's instruction sets, by which libraries choose their code",
            changes=tuple(changes),
            advice="hold it to a tolerance, @record(tolerance=...), or fix the choice where it is recorded, with"
            " OPENBLAS_CORETYPE, MKL_CBWR, ATEN_CPU_CAPABILITY or NPY_DISABLE_CPU_FEATURES",
            is_pointed_to=is_other
            or any(one.key.startswith("platform.cpu.") for one in base.plan.deviations),
        )


def _level(level: str, dispatched: Sequence[str]) -> Change:
    variables = dict(_LEVELS[level])
    above = [name for name in dispatched if _ABOVE[level].match(name)]
    if above:
        variables["NPY_DISABLE_CPU_FEATURES"] = " ".join(above)
    return Change(said=f"instruction sets up to {level}", variables=variables)


def _openblas_core(store: Store, record: Record) -> str | None:
    """The code that OpenBLAS had chosen for the run, by the name that its variable takes."""
    for one in _runtime(store, record).get("libraries") or []:
        if one.get("api") == "openblas" and one.get("architecture"):
            return str(one["architecture"])
    return None


def numpy_dispatch(interpreter: str) -> list[str]:
    """The instruction sets that are here and for which NumPy has code of their own, as it names them."""
    done = subprocess.run(
        [interpreter, "-c", _DISPATCHED], capture_output=True, text=True, check=False
    )
    found: list[str] = json.loads(done.stdout) if done.returncode == 0 else []
    return found


def _flags(described: Mapping[str, Any]) -> frozenset[str]:
    cpu = described.get("cpu")
    found = cpu.get("instructions") if isinstance(cpu, dict) else None
    return frozenset(found or ())


def _has_hazard(base: Replay, *kinds: str) -> bool:
    return any(one.kind in kinds for run in (base.original, base.record) for one in run.hazards)


def _imported(store: Store, base: Replay) -> frozenset[str]:
    return frozenset(_runtime(store, base.record).get("imported") or ())


def _runtime(store: Store, record: Record) -> dict[str, Any]:
    return _read(store, record.runtime.last if record.runtime is not None else None)


def _environment(store: Store, record: Record) -> dict[str, Any]:
    return _read(store, record.environment)


def _read(store: Store, digest: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {} if digest is None else msgspec.json.decode(store.read(digest))
    return found
