"""Factors that a result may depend on, the changes that test them, and the evidence for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from ...records import Part, Record
from ...store.store import RunStore
from ..replay import ReplayResult
from ..request import Request


class Adjustment(Part, frozen=True):
    """A change to the request of a replay. None and {} leave the request as it is.

    Attributes:
        said: The change in words.
        variables: Environment variables to set.
        inputs: Files to read in place of others, by recorded path.
        current_inputs: Whether to read inputs outside the project in their present state.
        current_code: Whether to run the current code.
        interpreter: The Python that runs the replay.
        rebuild: Whether to rebuild the recorded environment.
        processors: The number of processors that the process may use.
    """

    said: str
    variables: Mapping[str, str] = {}
    inputs: Mapping[str, str] = {}
    current_inputs: bool | None = None
    current_code: bool | None = None
    interpreter: str | None = None
    rebuild: bool | None = None
    processors: int | None = None

    def apply(self, request: Request) -> Request:
        """Return the request with the change."""
        given = {old: new for old, new in request.inputs.items() if old not in self.inputs}
        return msgspec.structs.replace(
            request,
            variables={**request.variables, **self.variables},
            # The first match counts, so a folder that the user gave comes after a file below it.
            inputs={**self.inputs, **given},
            current_inputs=_either(self.current_inputs, request.current_inputs),
            current_code=_either(self.current_code, request.current_code),
            interpreter=self.interpreter or request.interpreter,
            rebuild=_either(self.rebuild, request.rebuild),
        )


def _either(changed: bool | None, unchanged: Any) -> Any:
    return unchanged if changed is None else changed


def join_changes(changes: Sequence[Adjustment]) -> Adjustment:
    """Return a change that makes all of the changes at once."""
    joined = Adjustment(said=" and ".join(one.said for one in changes))
    for one in changes:
        joined = msgspec.structs.replace(
            joined,
            variables={**joined.variables, **one.variables},
            inputs={**joined.inputs, **one.inputs},
            current_inputs=_either(one.current_inputs, joined.current_inputs),
            current_code=_either(one.current_code, joined.current_code),
            interpreter=one.interpreter or joined.interpreter,
            rebuild=_either(one.rebuild, joined.rebuild),
            processors=joined.processors or one.processors,
        )
    return joined


class Factor(Part, frozen=True):
    """A factor that a result may depend on.

    Attributes:
        what: The factor in words.
        changes: The changes that test it, in the order of trial.
        advice: The recommended change to the program or its environment.
        kinds: The kinds of hazards that point to it.
        is_steadying: Whether a change may make varying replays agree. Any other factor can only explain items that are
            the same in all replays.
        is_pointed_to: Whether the records, or present differences, point to it.
    """

    what: str
    changes: tuple[Adjustment, ...]
    advice: str
    kinds: tuple[str, ...] = ()
    is_steadying: bool = False
    is_pointed_to: bool = False


class Evidence(NamedTuple):
    """The facts that an explanation starts from: the diverged replay `base`, its original, and its request."""

    store: RunStore
    base: ReplayResult
    request: Request

    @property
    def number(self) -> int:
        """The number of the original run."""
        return self.base.original.number

    @property
    def imported(self) -> frozenset[str]:
        """The distributions that the replay imported."""
        return frozenset(self.runtime(self.base.record).get("imported") or ())

    def runtime(self, record: Record) -> dict[str, Any]:
        """Return the libraries that the run had loaded at its end; {} where they were not recorded."""
        return self._read(None if record.runtime is None else record.runtime.last)

    def platform(self, record: Record) -> dict[str, Any]:
        """Return the description of the run's machine; {} where it was not recorded."""
        return self._read(record.environment).get("platform") or {}

    def has_hazard(self, *kinds: str) -> bool:
        """Return whether one of the two runs has a hazard of these kinds."""
        runs = (self.base.original, self.base.record)
        return any(one.kind in kinds for run in runs for one in run.hazards)

    def differs(self, prefix: str) -> bool:
        """Return whether a fact of the environment whose key begins with `prefix` differs from the recorded one."""
        return any(one.key.startswith(prefix) for one in self.base.plan.deviations)

    def _read(self, digest: str | None) -> dict[str, Any]:
        found: dict[str, Any] = (
            {} if digest is None else msgspec.json.decode(self.store.read(digest))
        )
        return found
