"""What may decide how a run comes out, and what to change to find out: the experiments of an explanation.

They are ordered by what points to them: the hazards in the records, and what differs now.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from ...capture.seeding.determinism import HASH_SEED, THREADS, fixed_variables
from ...hazards import KINDS
from ..deviations import describe_deviations, processors
from ..workspace.inputs import InputSource
from .factor import Adjustment, Evidence, Factor
from .instruction_sets import find_instructions

# So many hash seeds are tried: a set of few texts soon has the order that it had.
_HASH_SEEDS = 4


def find_factors(evidence: Evidence, *, folder: Path, is_varying: bool) -> list[Factor]:
    """What may be why the replay came out otherwise, the likeliest first.

    `folder` is an empty one, for the stored inputs; `is_varying`: another replay came out otherwise again.
    """
    found = [
        *_code(evidence),
        *_inputs(evidence, folder),
        *_packages(evidence),
        *_hash_seed(evidence),
        *_algorithms(evidence),
        *_threads(evidence),
        *_processors(evidence),
        *find_instructions(evidence),
    ]
    found.sort(key=lambda one: (not one.is_pointed_to, one.is_steadying != is_varying))
    return found


def _code(evidence: Evidence) -> Iterator[Factor]:
    if evidence.request.here:
        yield Factor(
            what=f"the project's code, which has changed since run {evidence.number} was recorded",
            changes=(Adjustment(said="the recorded code", here=False),),
            advice=f"recorder diff {evidence.number} . says what has changed",
            is_pointed_to=True,
        )


def _inputs(evidence: Evidence, folder: Path) -> Iterator[Factor]:
    """Files that were read where they are, though they have changed: the stored ones, one by one and then all."""
    store, number, sources = evidence.store, evidence.number, evidence.base.plan.sources
    advice = "take the recorded file, or record the experiment anew with the one that is there now"
    changed = [one for one in sources if one.changed and store.objects.has(one.digest)]
    for index, source in enumerate(changed):
        place = folder / str(index) / Path(source.path).name
        place.parent.mkdir()
        store.objects.restore_file(source.digest, place)
        yield Factor(
            what=f"{source.path}, which has changed since run {number} was recorded",
            changes=(
                Adjustment(said=f"the stored {place.name}", inputs={source.path: str(place)}),
            ),
            advice=advice,
            is_pointed_to=True,
        )
    unused = [one for one in sources if _is_unused(one)]
    if unused and not evidence.request.live_inputs:
        yield Factor(
            what=f"{_names(unused)}, as on this machine now, and not as stored with run {number}",
            changes=(Adjustment(said="the inputs that are there now", live_inputs=True),),
            advice="name the files with recorder.track_input(path) before they are written to",
        )


def _is_unused(source: InputSource) -> bool:
    return source.changed_in_place and not source.in_root and Path(source.path).is_file()


def _names(sources: Iterable[InputSource]) -> str:
    return ", ".join(source.path for source in sources)


def _packages(evidence: Evidence) -> Iterator[Factor]:
    """Python and the packages that the run had imported, where others are there now."""
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
        said = "the recorded Python and packages, installed again"
        changes.append(Adjustment(said=said, rebuild=True))
    if differing:
        yield Factor(
            what=f"what is installed, where run {evidence.number} had another"
            f" ({'; '.join(describe_deviations(tuple(differing)))})",
            changes=tuple(changes),
            advice="install what it had, or record it anew with what is there now:"
            f" recorder env {evidence.number} prints what it had",
            is_pointed_to=True,
        )


def _hash_seed(evidence: Evidence) -> Iterator[Factor]:
    process, given = evidence.base.original.process, evidence.request.variables
    if (process is None or process.hash_seed is None) and HASH_SEED not in given:
        yield Factor(
            what=f"PYTHONHASHSEED, which was not fixed when run {evidence.number} was recorded",
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
    """Deterministic algorithms, with as many threads as before."""
    seed = evidence.base.original.seed_info
    if {"torch", "tensorflow", "jax"} & evidence.imported and not (seed and seed.deterministic):
        fixed = fixed_variables({}, deterministic=True)
        yield Factor(
            what="algorithms that are not deterministic",
            changes=(
                Adjustment(
                    said="deterministic algorithms",
                    variables={k: v for k, v in fixed.items() if k not in (*THREADS, HASH_SEED)},
                ),
            ),
            advice="torch.use_deterministic_algorithms(True), or recorder run --deterministic",
            kinds=("GPU",),
            is_steadying=True,
            is_pointed_to=evidence.has_hazard("GPU", "threads"),
        )


def _threads(evidence: Evidence) -> Iterator[Factor]:
    libraries = evidence.runtime(evidence.base.record).get("libraries") or []
    if any(one.get("threads", 1) > 1 for one in libraries):
        yield Factor(
            what="the number of threads that add up, and the order in which they do",
            changes=(Adjustment(said="one thread", variables=dict.fromkeys(THREADS, "1")),),
            advice="record it with one thread: recorder run --threads 1, or OMP_NUM_THREADS=1",
            kinds=("threads",),
            is_steadying=True,
            is_pointed_to=evidence.has_hazard("threads"),
        )


def _processors(evidence: Evidence) -> Iterator[Factor]:
    """How many processors the process may use, which many a program makes as many workers of."""
    count = processors()
    if count > 1:
        yield Factor(
            what=f"the number of processors, {count} of which it may use here",
            changes=(Adjustment(said="one processor", processors=1),),
            advice="make the number of workers or threads an argument, and give it",
            is_steadying=True,
            is_pointed_to=evidence.differs("platform.cpu.count"),
        )
