"""Everything that watches a run while it lasts, begun and ended together."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import datetime, timezone
from time import monotonic

from msgspec.structs import replace

from ..capture.console.console import Console
from ..capture.files.audit_hook import Reading, Watch, watch_inputs
from ..capture.files.guard import guard
from ..capture.files.library_hooks import attach
from ..capture.hazards.observed import unwatch_hazards, watch_hazards
from ..capture.sampling import Sampler, can_sample
from ..capture.seeding.seed import Planting, plant
from ..capture.usage import Meter
from ..formats.series import SeriesWriter
from ..records import Runtime, Seed, Usage
from ..secrets.register import Secrets
from ..store.live.live import Live
from .invocation import Call
from .problems import Problems
from .project import Setting


class Observation:
    """The console, the files, the seed, the use of the machine and the series of one run, which `started` then.

    `usage`, `duration_s`, `readings` and `runtime` (as it was at the end of the call) are there once it has stopped.
    """

    runtime: Runtime
    usage: Usage
    duration_s: float
    readings: tuple[Reading, ...]

    def __init__(
        self,
        call: Call,
        *,
        started: datetime,
        live: Live,
        setting: Setting,
        secrets: Secrets,
        report: Problems,
    ) -> None:
        self._report = report
        self._secrets = secrets
        self._setting = setting
        self.series = SeriesWriter(live.series)
        age_s = (datetime.now(timezone.utc) - started).total_seconds()
        self._console = Console(
            live.stdout,
            live.stderr,
            live.arrivals,
            since_s=monotonic() - age_s,
            values=secrets.values,
        )
        with ExitStack() as undo:  # Ctrl-C may come at any moment, and a notebook goes on
            self._start(call, undo)
            undo.pop_all()
        self._started = monotonic()

    def _start(self, call: Call, undo: ExitStack) -> None:
        attach()
        self.watch: Watch = watch_inputs(exclude=self._setting.private)
        undo.callback(self.watch.stop)
        watch_hazards()
        undo.callback(unwatch_hazards)
        self._console.start()
        undo.callback(self._console.stop)
        interval_s = call.usage if call.usage and can_sample() else None
        self._sampler = Sampler(interval_s, self.series.add) if interval_s else None
        if self._sampler is not None:
            undo.callback(self._sampler.stop)
        self._meter = Meter()
        in_process = call.function.kind != "command"
        self._planting = plant(call.seed.value) if in_process else Planting(0, ())
        undo.callback(self._planting.restore)

    @property
    def sampled(self) -> frozenset[str]:
        """The names of the metrics that were sampled."""
        return frozenset() if self._sampler is None else frozenset(self._sampler.names)

    def described(self, seed: Seed) -> Seed:
        """The seed's record, with what of it is known only at the end."""
        return replace(seed, **self._planting.drawn)

    def pause(self) -> None:
        """The code that runs from now on is not the run's: its seed and its watch are put aside."""
        self._planting.pause()
        self.watch.pause()

    def resume(self) -> None:
        """The run's code goes on."""
        self.watch.resume()
        self._planting.resume()

    def restore_seed(self) -> None:
        """Put the generators back as they were, and nothing else: a forked child is not the run."""
        self._planting.restore()

    def stop(self) -> None:
        """End it; what could not be watched is reported."""
        self.duration_s = monotonic() - self._started
        # Before the flags that `recorder run --deterministic` has set are put back.
        with guard():
            self.runtime = self._setting.capture_runtime(self._report)
        self._planting.restore()
        self.usage = self._meter.stop()
        if self._sampler is not None:
            self._sampler.stop()
            if self._sampler.problem:
                self._report(f"sampling the usage ended early: {self._sampler.problem}")
        self._console.stop()
        self.readings = self.watch.stop()
        unwatch_hazards()
        for stream, text in self._console.taken:
            self._secrets.note_text(stream, text)
        for stream, count in zip(("stdout", "stderr"), self._console.cut_bytes, strict=True):
            if count:
                self._report(f"{count} bytes in the middle of {stream} were not kept")
        for warning in (*self._console.warnings, *self.watch.warnings):
            self._report(warning)
