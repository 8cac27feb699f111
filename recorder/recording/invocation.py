"""What is about to run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..records import Change, Function, Part, Ranks, Redacted, Seed, Tolerance
from .project import Setting


class Call(Part, frozen=True):
    """What is about to run: the experiment, its arguments by parameter, and how to record it.

    `objects` are the payloads that `function` names; `usage` the seconds between two samples of what the run uses;
    `secrets`, `public` and `keep_bytes` are those of `@record`; `redacted` is what was left out of what is here;
    `ranks` is the job whose first rank this process is; `receiver` the argument that holds a method's
    instance.
    """

    experiment: str
    function: Function
    arguments: Mapping[str, Any]
    seed: Seed
    setting: Setting
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
    keep_bytes: int = 100 * 1024 * 1024
    redacted: tuple[Redacted, ...] = ()
    ranks: Ranks | None = None
    receiver: str | None = None
