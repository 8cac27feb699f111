"""A call that is about to be recorded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from ..records import Change, Function, Part, Ranks, Redacted, Seed, Tolerance
from .options import KEEP_BYTES
from .project import Captured, Project


class Call(Part, frozen=True):
    """A call that is about to be recorded: the experiment, its arguments by parameter, and the recording options.

    `objects` are the payloads that `function` refers to; `usage` is the sampling interval in seconds; `secrets`,
    `public` and `keep_bytes` (bytes) are options of `@record`; `redacted` lists the credentials left out of this value;
    `ranks` is the distributed job whose first rank this process is; `receiver` names the argument that holds a
    method's instance; `captured` is the state of the project, if it has been captured already.
    """

    experiment: str
    function: Function
    arguments: Mapping[str, Any]
    seed: Seed
    project: Project
    captured: Captured | None = None
    objects: tuple[bytes, ...] = ()
    tags: tuple[str, ...] = ()
    strict: bool = False
    usage: float | None = None
    parent: str | None = None
    replay_of: str | None = None
    changes: tuple[Change, ...] = ()
    tolerance: Mapping[str, Tolerance] = {}
    warnings: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    public: tuple[str, ...] = ()
    keep_bytes: int = KEEP_BYTES
    redacted: tuple[Redacted, ...] = ()
    ranks: Ranks | None = None
    receiver: str | None = None

    def capture(self) -> Call:
        """Return the call with the state of its project, which is captured now unless it has been."""
        return self if self.captured else replace(self, captured=self.project.capture())
