"""An experiment's call that was prepared beforehand, run to its end: what the command line and a replay do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .current import current
from .experiment import Experiment
from .generators import drive, exhaust, exhaust_async, hand_on_async
from .invocation import Call
from .run import ActiveRun
from .session import Recording
from .yielding import Stream

if TYPE_CHECKING:
    import inspect


class Execution:
    """A call that was prepared, as a `run` that has begun."""

    def __init__(self, experiment: Experiment, call: Call, bound: inspect.BoundArguments) -> None:
        self._experiment = experiment
        self._bound = bound
        self.run = ActiveRun(call)

    def complete(self, *, most: int | None = None) -> ActiveRun:
        """Run it to its end, a generator until it is exhausted or so many values are there; the ended run.

        The function's own exception comes out.
        """
        if self._experiment.is_generator or self._experiment.is_async_generator:
            self._exhaust(most)
        else:
            with Recording(self.run) as recording:
                recording.result = self._experiment.invoke(self._bound)
        return self.run

    def _exhaust(self, most: int | None) -> None:
        generator = self._experiment.function(*self._bound.args, **self._bound.kwargs)
        stream = Stream(self.run, current)
        if self._experiment.is_generator:
            exhaust(drive(generator, stream), most=most)
            return
        import asyncio  # 30 ms, a tenth of what it takes to start a replay

        recorded = hand_on_async(lambda args, kwargs: (generator, stream))
        asyncio.run(exhaust_async(recorded(), most=most))
