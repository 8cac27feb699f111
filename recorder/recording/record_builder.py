"""The account of a run: its record as it begins, and as it ends."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any, NamedTuple

from msgspec.structs import replace

from .. import codec
from ..capture.config import EncodedConfig, encode_config
from ..capture.environment.process import DELETED, describe_process
from ..capture.failure import describe_failure
from ..capture.hazards.collect import find_hazards, known_hazards
from ..capture.sampling import can_sample
from ..capture.seeding.determinism import is_deterministic
from ..digest import digest_json
from ..errors import HazardError
from ..formats.points import SAMPLED
from ..hazards import advise, inherent, say
from ..records import (
    JSON,
    Hazard,
    Input,
    Metric,
    Output,
    Record,
    Redacted,
    Runtime,
    Status,
    fingerprint,
)
from ..secrets.register import Secrets
from ..store.content.console import keep_arrivals
from ..store.live.live import Live
from .inputs import Intake
from .invocation import Call
from .monitors import Observation
from .outputs import Outputs
from .problems import Problems


class Ending(NamedTuple):
    """How a run ended: with a result or an exception; `config` as it is now."""

    status: Status
    result: Any
    error: BaseException | None
    note: str
    config: Mapping[str, Any]


class Account:
    """Writes down a call: what was there before it, and what came of it. What cannot be is reported."""

    def __init__(self, call: Call, *, secrets: Secrets, report: Problems) -> None:
        self.setting = call.setting
        self._call = call
        self._secrets = secrets
        self._report = report
        self._opaque: list[Hazard] = []
        self._store = call.setting.store

    # Beginning

    def begin(self, live: Live) -> Record:
        """The record of the run that is about to begin, with all that can be captured before.

        Raises RecorderError where it is strict and something cannot be, or may make a replay come out otherwise.
        """
        call = self._call
        config = self._encode_config(call.arguments)
        self.setting = call.setting.capture(self._report)
        if call.usage and not can_sample():
            self._report("usage= needs psutil: pip install 'run-recorder[usage]'; no samples")
        self._keep(*call.objects, *config.objects.values())
        record = self._describe(live, config)
        if call.strict:
            self._refuse_known(record)
        return record

    def _encode_config(self, arguments: Mapping[str, Any]) -> EncodedConfig:
        config = encode_config(arguments, secrets=self._secrets, receiver=self._call.receiver)
        for name in config.opaque:
            self._opaque.append(Hazard(kind="opaque argument", detail=name))
            self._report(
                f"argument {name!r} of {self._call.experiment} is opaque: nothing can encode it,"
                " so the run will not be replayable"
            )
        return config

    def _describe(self, live: Live, config: EncodedConfig) -> Record:
        process = describe_process(
            root=self.setting.root, ranks=self._call.ranks, secrets=self._secrets
        )
        if not process.cwd or process.cwd.endswith(DELETED):
            self._report("the working directory has been deleted: a replay begins in an empty one")
        return Record(
            id=live.id,
            experiment=self._call.experiment,
            function=self._call.function,
            started=datetime.now(timezone.utc),
            config=config.forms,
            seed_info=self._call.seed,
            code=self.setting.code,
            environment=self.setting.environment,
            runtime=self.setting.runtime,
            process=process,
            tags=self._call.tags,
            parent=self._call.parent,
            replay_of=self._call.replay_of,
            changes=self._call.changes,
            tolerance=dict(self._call.tolerance),
            redacted=self._listed_secrets(),
        )

    def _refuse_known(self, record: Record) -> None:
        """With strict, a run is not started of which it is known that its replay may come out otherwise.

        A credential is no such thing: the replay is given it, and it is checked.
        """
        known = known_hazards(record.function, root=self._root, runtime=self.setting.loaded)
        if is_deterministic():
            known = (
                one for one in known if one.kind != "GPU"
            )  # its algorithms are set as it starts
        hazards = [*(one for one in inherent(record) if one.kind != "redacted"), *known]
        found = say(hazards)
        if found:
            raise HazardError(
                f"{record.experiment} was not started (strict): {'; '.join(found)}."
                f" What to do: {'; '.join(advise(hazards))}",
                hazards=found,
            )

    def _listed_secrets(self) -> tuple[Redacted, ...]:
        self._secrets.add(self.setting.redacted)
        return self._secrets.found

    def _keep(self, *payloads: bytes) -> None:
        for payload in payloads:
            self._store.objects.put_bytes(payload)

    @property
    def _root(self) -> str | None:
        return None if self.setting.root is None else str(self.setting.root)

    # Ending

    def end(
        self, begun: Record, ending: Ending, observed: Observation, outputs: Outputs, *, live: Live
    ) -> Record:
        """The whole record, everything that it names being in the store."""
        error = ending.error
        result = outputs.keep_result(ending.result) if _has_result(ending) else None
        kept = self._outputs(observed, outputs, number=begun.number)
        observed.series.close()
        file = self._store.keep_file
        record = replace(
            begun,
            status=ending.status,
            finished=datetime.now(timezone.utc),
            duration_s=observed.duration_s,
            seed_info=observed.described(self._call.seed),
            runtime=_runtime(begun.runtime, observed.runtime),
            code=self.setting.capture_projects(self._report),
            inputs=self._inputs(observed),
            result=result,
            outputs=kept,
            unlisted=outputs.unlisted,
            outputs_digest=digest_json("outputs", [[o.name, o.kind, o.digest] for o in kept]),
            metrics=self._metrics(observed),
            series=observed.series.keep(data=self._store.keep, file=file),
            stdout=file(live.stdout),
            stderr=file(live.stderr),
            arrivals=keep_arrivals(self._store, live.arrivals),
            failure=None if error is None else describe_failure(error, secrets=self._secrets),
            config=self._config(begun.config, ending.config),
            usage=observed.usage,
            note=ending.note,
            warnings=tuple(self._report.said),
        )
        hazards = self._hazards(record, observed, outputs)
        record = replace(record, redacted=self._listed_secrets(), hazards=hazards)
        return replace(record, fingerprint=fingerprint(record))

    def give_up(self, begun: Record, error: BaseException) -> Record:
        """The record of a run that ends before its function is called."""
        return replace(
            begun,
            status="interrupted" if isinstance(error, KeyboardInterrupt) else "failed",
            finished=datetime.now(timezone.utc),
            duration_s=0.0,
            failure=describe_failure(error, secrets=self._secrets),
        )

    def _outputs(
        self, observed: Observation, outputs: Outputs, *, number: int
    ) -> tuple[Output, ...]:
        outputs.take_own_files()
        if self._call.function.kind != "command":  # see `recorder.recording.exec`
            limit_bytes = self._call.keep_bytes
            outputs.take_found_files(observed, number=number, limit_bytes=limit_bytes)
        return outputs.all

    def _config(self, begun: dict[str, JSON], now: Mapping[str, Any]) -> dict[str, JSON]:
        """As the run began, with what a block of code has put into it since."""
        if self._call.function.kind != "block":
            return begun
        first = self._call.arguments
        later = {n: value for n, value in now.items() if n not in first or first[n] is not value}
        config = self._encode_config(later)
        self._keep(*config.objects.values())
        return {**begun, **config.forms}

    def _inputs(self, observed: Observation) -> tuple[Input, ...]:
        limit_bytes = self._call.keep_bytes
        intake = Intake(self.setting, secrets=self._secrets, limit_bytes=limit_bytes)
        return intake.take(observed.readings)

    def _metrics(self, observed: Observation) -> dict[str, Metric]:
        """The metrics; those of the run's own under the names that no verdict goes by are warned of."""
        metrics = observed.series.metrics(lambda value: codec.encode(value).form)
        for name in metrics:
            if name.startswith(SAMPLED) and name not in observed.sampled:
                what = f"metric {name!r}: verdicts leave {SAMPLED}* out, which usage= samples"
                self._report(what)
        return metrics

    def _hazards(
        self, record: Record, observed: Observation, outputs: Outputs
    ) -> tuple[Hazard, ...]:
        return find_hazards(
            record,
            root=self._root,
            watch=observed.watch,
            runtime=self.setting.loaded,
            opaque=[*self._opaque, *outputs.opaque],
        )


def _runtime(begun: Runtime | None, ended: Runtime) -> Runtime:
    """As the run began, with how it ended."""
    if begun is None or begun.start == ended.start:
        return ended
    return Runtime(start=begun.start, end=ended.start, numerics=ended.numerics)


def _has_result(ending: Ending) -> bool:
    return ending.error is None or ending.result is not None
