"""Start and stop everything that observes a run: console, files, seed, usage, and series."""

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
from ..records import Seed, Usage
from ..secrets.register import Secrets
from ..store.live.live import Live
from .invocation import Call
from .problems import Problems
from .project import Captured, Loaded


class Observation:
    """The console, files, seed, resource usage and series of one run, which began at `started`.

    `usage`, `duration_s`, `readings` and `loaded` (the libraries loaded when the call ended) are set by `stop`.
    """

    loaded: Loaded
    usage: Usage
    duration_s: float
    readings: tuple[Reading, ...]

    def __init__(
        self,
        call: Call,
        *,
        started: datetime,
        live: Live,
        captured: Captured,
        secrets: Secrets,
        report: Problems,
    ) -> None:
        self._report = report
        self._secrets = secrets
        self._captured = captured
        self.series = SeriesWriter(live.series)
        age_s = (datetime.now(timezone.utc) - started).total_seconds()
        # The credentials known by their text that the console is scrubbed of while the run lasts.
        self.scrubbed = frozenset(secrets.values)
        self._console = Console(
            live.stdout,
            live.stderr,
            live.arrivals,
            since_s=monotonic() - age_s,
            values=self.scrubbed,
        )
        with (
            ExitStack() as undo
        ):  # Ctrl-C may come at any moment, and a notebook's process continues
            self._start(call, undo)
            undo.pop_all()
        self._started = monotonic()

    def _start(self, call: Call, undo: ExitStack) -> None:
        attach()
        self.watch: Watch = watch_inputs(exclude=self._captured.project.private)
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
        self._planting = (
            plant(
                call.seed.value,
                kept=call.seed.kept,
                detect=call.replay_of is None and not call.seed.applies_to_all,
            )
            if in_process
            else Planting(0, ())
        )
        undo.callback(self._planting.restore)

    @property
    def sampled(self) -> frozenset[str]:
        """The names of the sampled metrics."""
        return frozenset() if self._sampler is None else frozenset(self._sampler.names)

    def described(self, seed: Seed) -> Seed:
        """Return the seed's record with the fields that are known only when the run ends."""
        return replace(seed, **self._planting.drawn)

    def pause(self) -> None:
        """Suspend the seed and the file watch, while code that does not belong to the run executes."""
        self._planting.pause()
        self.watch.pause()

    def resume(self) -> None:
        """Resume the seed and the file watch after `pause`."""
        self.watch.resume()
        self._planting.resume()

    def restore_seed(self) -> None:
        """Restore the random generators and nothing else: a forked child has no part in the run."""
        self._planting.restore()

    def stop(self) -> None:
        """Stop observing, and report what could not be observed."""
        self.duration_s = monotonic() - self._started
        # Before the flags set by `recorder run --deterministic` are restored.
        with guard():
            self.loaded = self._captured.describe_loaded(self._report)
        self._planting.restore()
        self.usage = self._meter.stop()
        if self._sampler is not None:
            self._sampler.stop()
            if self._sampler.problem:
                self._report(f"sampling of resource usage ended early: {self._sampler.problem}")
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
