"""Carry out a call that was prepared beforehand: the path of the command line and of a replay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .current import current
from .experiment import Experiment
from .generators import drive, drive_async, exhaust, exhaust_async
from .invocation import Call
from .recorded_generators import Stream
from .run import ActiveRun
from .session import Recording

if TYPE_CHECKING:
    import inspect


class Execution:
    """A prepared call; its `run` has begun."""

    def __init__(self, experiment: Experiment, call: Call, bound: inspect.BoundArguments) -> None:
        self._experiment = experiment
        self._bound = bound
        self.run = ActiveRun(call)

    def complete(self, *, most: int | None = None) -> ActiveRun:
        """Carry the call out and return the ended run; a generator is closed after `most` values.

        Raises the function's own exception.
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
        import asyncio  # 30 ms, a tenth of the time that a replay takes to start

        recorded = drive_async(lambda args, kwargs: (generator, stream))
        asyncio.run(exhaust_async(recorded(), most=most))
