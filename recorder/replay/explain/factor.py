"""Something that a result may depend on, the changes that would show it, and what speaks for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from ...records import Part, Record
from ...store.store import RunStore
from ..replay import ReplayResult
from ..request import Request


class Adjustment(Part, frozen=True):
    """What is otherwise in a replay than asked for, `said` in words; None, or nothing, where it is the same.

    `processors` is how many of them the process may use; `inputs` are files that take the place of others.
    """

    said: str
    variables: Mapping[str, str] = {}
    inputs: Mapping[str, str] = {}
    live_inputs: bool | None = None
    here: bool | None = None
    interpreter: str | None = None
    rebuild: bool | None = None
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
            rebuild=request.rebuild if self.rebuild is None else self.rebuild,
        )


def join_changes(changes: Sequence[Adjustment]) -> Adjustment:
    """All of them at once."""
    merged = Adjustment(said=" and ".join(one.said for one in changes))
    for one in changes:
        merged = msgspec.structs.replace(
            merged,
            variables={**merged.variables, **one.variables},
            inputs={**merged.inputs, **one.inputs},
            live_inputs=merged.live_inputs if one.live_inputs is None else one.live_inputs,
            here=merged.here if one.here is None else one.here,
            interpreter=one.interpreter or merged.interpreter,
            rebuild=merged.rebuild if one.rebuild is None else one.rebuild,
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
    changes: tuple[Adjustment, ...]
    advice: str
    kinds: tuple[str, ...] = ()
    is_steadying: bool = False
    is_pointed_to: bool = False


class Evidence(NamedTuple):
    """What there is to go by: the replay `base` that came out otherwise, its original, and the request that made it."""

    store: RunStore
    base: ReplayResult
    request: Request

    @property
    def number(self) -> int:
        """The original's."""
        return self.base.original.number

    @property
    def imported(self) -> frozenset[str]:
        """The distributions that the replay had imported."""
        return frozenset(self.runtime(self.base.record).get("imported") or ())

    def runtime(self, record: Record) -> dict[str, Any]:
        """What the run had loaded, as it ended; {} where that is not known."""
        return self._read(None if record.runtime is None else record.runtime.last)

    def platform(self, record: Record) -> dict[str, Any]:
        """The machine that it ran on; {} where that is not known."""
        return self._read(record.environment).get("platform") or {}

    def has_hazard(self, *kinds: str) -> bool:
        """Whether one of the two runs has a hazard of these kinds."""
        runs = (self.base.original, self.base.record)
        return any(one.kind in kinds for run in runs for one in run.hazards)

    def differs(self, prefix: str) -> bool:
        """Whether something of the environment whose key begins so differs now."""
        return any(one.key.startswith(prefix) for one in self.base.plan.deviations)

    def _read(self, digest: str | None) -> dict[str, Any]:
        found: dict[str, Any] = (
            {} if digest is None else msgspec.json.decode(self.store.read(digest))
        )
        return found
