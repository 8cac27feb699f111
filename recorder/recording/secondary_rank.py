"""A call in a rank of a distributed job that is not the first: seeded like the first rank's run, and not recorded."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..capture.config import bind, choose_seed
from ..capture.environment.ranks import Rank, draw_common_seed
from ..capture.seeding.seed import Planting, plant


class Attendance:
    """The context of an unrecorded call of `function`; `bound` has its arguments, with the seed as in a run.

    For a generator (`stepwise`) the ``with`` block is entered for each step, and the caller's code between two steps
    has its own random numbers, as in the first rank. Raises TypeError if the arguments do not fit the function.
    """

    result: Any = None

    def __init__(
        self,
        function: Callable[..., Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        *,
        rank: Rank,
        experiment: str,
        seed: str,
        stepwise: bool = False,
    ) -> None:
        self.bound = bind(inspect.signature(function), args, kwargs, seed=seed)
        common = draw_common_seed(rank, experiment=experiment)
        chosen = choose_seed(self.bound, parameter=seed, drawn=common)
        is_common = chosen.origin == "argument" or common is not None
        self._seed = chosen.value if is_common else None
        self._stepwise = stepwise
        self._planting: Planting | None = None

    def __enter__(self) -> Attendance:
        if self._planting is not None:
            self._planting.resume()
        elif self._seed is not None:
            self._planting = plant(self._seed, detect=True)
        return self

    def __exit__(self, kind: object, error: BaseException | None, tb: object) -> None:
        if self._planting is None:
            return
        if self._stepwise and error is None:
            self._planting.pause()
        else:
            self._planting.restore()

    def add(self, value: Any) -> None:
        """Do nothing: yielded values are counted in the first rank."""

    def finish(self, returned: Any = None, *, closed: bool = False) -> None:
        """Restore the generators' states: no further step will follow."""
        if self._planting is not None:
            self._planting.resume()
            self._planting.restore()
