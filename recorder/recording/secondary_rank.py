"""A call in a rank that is not the first: it runs, seeded as the first rank's run is, and nothing is recorded."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..capture.config import bind, choose_seed
from ..capture.environment.ranks import Rank, draw_common_seed
from ..capture.seeding.seed import Planting, plant


class Attendance:
    """The call of `function` with these arguments; `bound` has them, the seed handed over as in a run.

    Raises TypeError as the call itself would.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        *,
        rank: Rank,
        experiment: str,
        seed: str,
    ) -> None:
        self.bound = bind(inspect.signature(function), args, kwargs, seed=seed)
        common = draw_common_seed(rank, experiment=experiment)
        chosen = choose_seed(self.bound, parameter=seed, drawn=common)
        is_common = chosen.origin == "argument" or common is not None
        self._seed = chosen.value if is_common else None
        self._planting: Planting | None = None

    def __enter__(self) -> inspect.BoundArguments:
        if self._seed is not None:
            self._planting = plant(self._seed)
        return self.bound

    def __exit__(self, *_: object) -> None:
        if self._planting is not None:
            self._planting.restore()
