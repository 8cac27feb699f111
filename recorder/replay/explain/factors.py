"""The factors that an explanation tests, ordered by the evidence for them: hazards and present differences."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from ...capture.seeding.determinism import HASH_SEED, THREADS, fixed_variables
from ...hazards import KINDS
from ..deviations import describe_deviations, processors
from .factor import Adjustment, Evidence, Factor
from .instruction_sets import find_instructions

# A small set of strings has few orders, so one of these seeds may restore the recorded one.
_HASH_SEEDS = 4


def find_factors(evidence: Evidence, *, folder: Path, is_varying: bool) -> list[Factor]:
    """Return the factors that may explain the divergence, the likeliest first.

    Args:
        evidence: The diverged replay and its original.
        folder: An empty folder, for copies of stored inputs.
        is_varying: Whether two identical replays differed.
    """
    factors = [
        *_code(evidence),
        *_inputs(evidence, folder),
        *_packages(evidence),
        *_hash_seed(evidence),
        *_algorithms(evidence),
        *_threads(evidence),
        *_processors(evidence),
        *find_instructions(evidence),
    ]
    factors.sort(key=lambda one: (not one.is_pointed_to, one.is_steadying != is_varying))
    return factors


def _code(evidence: Evidence) -> Iterator[Factor]:
    if evidence.request.current_code:
        yield Factor(
            what=f"the project's code, which has changed since run {evidence.number}",
            changes=(Adjustment(said="the recorded code", current_code=False),),
            advice=f"recorder diff {evidence.number} . shows the changes",
            is_pointed_to=True,
        )


def _inputs(evidence: Evidence, folder: Path) -> Iterator[Factor]:
    """Yield a factor for each changed input that was read in place, and one for all that were not read."""
    store, number, sources = evidence.store, evidence.number, evidence.base.plan.sources
    advice = "restore the recorded file, or record the experiment again with the present one"
    changed = [one for one in sources if one.changed and store.objects.has(one.digest)]
    for index, source in enumerate(changed):
        place = folder / str(index) / Path(source.path).name
        place.parent.mkdir()
        store.objects.restore_file(source.digest, place)
        yield Factor(
            what=f"{source.path}, which has changed since run {number}",
            changes=(
                Adjustment(said=f"the stored {place.name}", inputs={source.path: str(place)}),
            ),
            advice=advice,
            is_pointed_to=True,
        )
    unused = [
        one
        for one in sources
        if one.changed_in_place and not one.in_root and Path(one.path).is_file()
    ]
    if unused and not evidence.request.current_inputs:
        yield Factor(
            what=f"the present content of {', '.join(one.path for one in unused)}, which the store does not have",
            changes=(Adjustment(said="the present inputs", current_inputs=True),),
            advice="call recorder.track_input(path) before the program writes to these files",
        )


def _packages(evidence: Evidence) -> Iterator[Factor]:
    """Yield a factor for Python and the imported packages where other versions are installed now."""
    differing = [
        one
        for one in evidence.base.plan.deviations
        if one.matters and one.key.startswith(("packages.", "python."))
    ]
    changes, request = [], evidence.request
    if request.rebuild or request.interpreter != sys.executable:
        said = f"the Python in {sys.prefix}"
        changes.append(Adjustment(said=said, interpreter=sys.executable, rebuild=False))
    if not request.rebuild:
        said = "the recorded Python and packages, rebuilt"
        changes.append(Adjustment(said=said, rebuild=True))
    if differing:
        yield Factor(
            what=f"the installed versions, which differ from run {evidence.number}"
            f" ({'; '.join(describe_deviations(tuple(differing)))})",
            changes=tuple(changes),
            advice=f"install the recorded versions (recorder env {evidence.number} lists them), or record the"
            " experiment again",
            is_pointed_to=True,
        )


def _hash_seed(evidence: Evidence) -> Iterator[Factor]:
    process, given = evidence.base.original.process, evidence.request.variables
    if (process is None or process.hash_seed is None) and HASH_SEED not in given:
        yield Factor(
            what=f"PYTHONHASHSEED, which run {evidence.number} did not fix",
            changes=tuple(
                Adjustment(said=f"{HASH_SEED}={seed}", variables={HASH_SEED: str(seed)})
                for seed in range(_HASH_SEEDS)
            ),
            advice=KINDS["hash order"].advice,
            kinds=("hash order",),
            is_steadying=True,
            is_pointed_to=evidence.has_hazard("hash order"),
        )


def _algorithms(evidence: Evidence) -> Iterator[Factor]:
    """Yield a factor for nondeterministic algorithms; the number of threads stays the same."""
    seed = evidence.base.original.seed_info
    if {"torch", "tensorflow", "jax"} & evidence.imported and not (seed and seed.deterministic):
        fixed = fixed_variables({}, deterministic=True)
        yield Factor(
            what="nondeterministic algorithms",
            changes=(
                Adjustment(
                    said="deterministic algorithms",
                    variables={k: v for k, v in fixed.items() if k not in (*THREADS, HASH_SEED)},
                ),
            ),
            advice="call torch.use_deterministic_algorithms(True), or use recorder run --deterministic",
            kinds=("GPU",),
            is_steadying=True,
            is_pointed_to=evidence.has_hazard("GPU", "threads"),
        )


def _threads(evidence: Evidence) -> Iterator[Factor]:
    libraries = evidence.runtime(evidence.base.record).get("libraries") or []
    if any(one.get("threads", 1) > 1 for one in libraries):
        yield Factor(
            what="the number and timing of threads that sum numbers",
            changes=(Adjustment(said="one thread", variables=dict.fromkeys(THREADS, "1")),),
            advice="record it with one thread: recorder run --threads 1, or OMP_NUM_THREADS=1",
            kinds=("threads",),
            is_steadying=True,
            is_pointed_to=evidence.has_hazard("threads"),
        )


def _processors(evidence: Evidence) -> Iterator[Factor]:
    """Yield a factor for the number of processors, by which many programs choose their number of workers."""
    count = processors()
    if count > 1:
        yield Factor(
            what=f"the number of processors (here {count})",
            changes=(Adjustment(said="one processor", processors=1),),
            advice="make the number of workers or threads an argument",
            is_steadying=True,
            is_pointed_to=evidence.differs("platform.cpu.count"),
        )
