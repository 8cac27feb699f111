"""Build the record of a run: once when it begins, and once when it ends."""

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
from ..records import JSON, Hazard, Metric, Output, Record, Redacted, Runtime, Status, fingerprint
from ..secrets.register import Secrets
from ..store.content.console import keep_arrivals
from ..store.live.live import Live
from .inputs import Intake
from .invocation import Call
from .monitors import Observation
from .outputs import Outputs
from .problems import Problems, warn


class Ending(NamedTuple):
    """The end of a run: with a result or an exception; `config` is the config at that time."""

    status: Status
    result: Any
    error: BaseException | None
    note: str
    config: Mapping[str, Any]


class RecordBuilder:
    """Writes down a call: the state before it, and its outcome. Anything that cannot be recorded is reported."""

    def __init__(self, call: Call, *, secrets: Secrets, report: Problems) -> None:
        self._call = call
        self._secrets = secrets
        self._report = report
        self._opaque: list[Hazard] = []
        self._store = call.project.store
        root = call.project.root
        self._root = None if root is None else str(root)

    # Beginning

    def begin(self, live: Live) -> Record:
        """Capture the project, and return the record of the run that is about to begin.

        Raises:
            RecorderError: if `strict` is set and something cannot be recorded, or a hazard is known beforehand.
        """
        call = self._call
        config = self._encode_config(call.arguments)
        for reason in self._secrets.plain:
            warn(f"{reason} is a single word: it is redacted there, but not searched for elsewhere")
        self.captured = call.captured or call.project.capture()
        for problem in self.captured.problems:
            self._report(problem)
        if call.usage and not can_sample():
            self._report(
                "resource usage is not sampled, because psutil is missing: pip install 'run-recorder[usage]'"
            )
        self._keep(*call.objects, *config.objects.values())
        record = self._describe(live, config)
        if call.strict:
            self._refuse_known_hazards(record)
        return record

    def _encode_config(self, arguments: Mapping[str, Any]) -> EncodedConfig:
        config = encode_config(arguments, secrets=self._secrets, receiver=self._call.receiver)
        for name in config.opaque:
            self._opaque.append(Hazard(kind="opaque argument", detail=name))
            self._report(
                f"argument {name!r} of {self._call.experiment} is opaque: it cannot be encoded,"
                " so the run will not be replayable"
            )
        return config

    def _describe(self, live: Live, config: EncodedConfig) -> Record:
        process = describe_process(
            root=self._call.project.root, ranks=self._call.ranks, secrets=self._secrets
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
            code=self.captured.code,
            environment=self.captured.environment,
            runtime=self.captured.loaded.runtime,
            process=process,
            tags=tuple(self._secrets.scrub(tag, "tags") for tag in self._call.tags),
            parent=self._call.parent,
            replay_of=self._call.replay_of,
            changes=self._call.changes,
            tolerance=dict(self._call.tolerance),
            redacted=self._listed_secrets(),
        )

    def _refuse_known_hazards(self, record: Record) -> None:
        """Raise HazardError if a replay is known beforehand to differ possibly.

        A credential is no hazard here: the replay gets it from the user, and it is checked.
        """
        known = known_hazards(
            record.function, root=self._root, runtime=self.captured.loaded.objects
        )
        if is_deterministic():  # deterministic algorithms are set when the run starts
            known = (hazard for hazard in known if hazard.kind != "GPU")
        hazards = [*(one for one in inherent(record) if one.kind != "redacted"), *known]
        found = say(hazards)
        if found:
            raise HazardError(
                f"{record.experiment} was not started (strict): {'; '.join(found)}."
                f" What to do: {'; '.join(advise(hazards))}",
                hazards=found,
            )

    def _listed_secrets(self) -> tuple[Redacted, ...]:
        self._secrets.add(self.captured.redacted)
        return self._secrets.found

    def _keep(self, *payloads: bytes) -> None:
        for payload in payloads:
            self._store.objects.put_bytes(payload)

    # Ending

    def end(
        self, begun: Record, ending: Ending, observed: Observation, outputs: Outputs, *, live: Live
    ) -> Record:
        """Return the complete record; everything that it refers to is in the store."""
        error = ending.error
        has_result = error is None or ending.result is not None
        self._secrets.refresh()
        result = outputs.keep_result(ending.result) if has_result else None
        kept = self._outputs(observed, outputs, number=begun.number)
        observed.series.close()
        # A credential that the run itself made known, such as a variable that it set, may have been printed before.
        late = [value for value in self._secrets.values if value not in observed.scrubbed]
        for stream, path in (("stdout", live.stdout), ("stderr", live.stderr)):
            if late:
                self._secrets.blank(path, stream, late)
        intake = Intake(self.captured, secrets=self._secrets, limit_bytes=self._call.keep_bytes)
        file = self._store.keep_file
        record = replace(
            begun,
            status=ending.status,
            finished=datetime.now(timezone.utc),
            duration_s=observed.duration_s,
            seed_info=observed.described(self._call.seed),
            runtime=_runtime(begun.runtime, observed.loaded.runtime),
            code=self.captured.describe_code(self._report),
            inputs=intake.take(observed.readings),
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
            warnings=tuple(self._report.messages),
        )
        hazards = find_hazards(
            record,
            root=self._root,
            watch=observed.watch,
            runtime=observed.loaded.objects,
            opaque=[*self._opaque, *outputs.opaque],
        )
        record = replace(record, redacted=self._listed_secrets(), hazards=hazards)
        return replace(record, fingerprint=fingerprint(record))

    def give_up(self, begun: Record, error: BaseException) -> Record:
        """Return the record of a run that ends before its function is called."""
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
        if self._call.function.kind != "command":  # `recorder.recording.exec` finds those itself
            limit_bytes = self._call.keep_bytes
            outputs.take_found_files(observed, number=number, limit_bytes=limit_bytes)
        return outputs.all

    def _config(self, begun: dict[str, JSON], now: Mapping[str, Any]) -> dict[str, JSON]:
        """Return the config at the beginning, with the values that a block of code has added since."""
        first = self._call.arguments
        later = {n: value for n, value in now.items() if n not in first or first[n] is not value}
        if self._call.function.kind != "block":
            if later:
                self._report(
                    f"config entries set during the run are not recorded: {', '.join(sorted(map(repr, later)))};"
                    " make them parameters of the function, or log() or save() them"
                )
            return begun
        config = self._encode_config(later)
        self._keep(*config.objects.values())
        return {**begun, **config.forms}

    def _metrics(self, observed: Observation) -> dict[str, Metric]:
        """Return the metrics; warn of a user's metric whose name is reserved for sampled ones."""
        metrics = observed.series.metrics(lambda value: codec.encode(value).form)
        for name in metrics:
            if name.startswith(SAMPLED) and name not in observed.sampled:
                self._report(
                    f"metric {name!r} is not compared by a replay, as {SAMPLED}* is reserved for sampled usage:"
                    " log it under another name"
                )
        return metrics


def _runtime(begun: Runtime | None, ended: Runtime) -> Runtime:
    """Return the runtime of the beginning together with that of the end."""
    if begun is None or begun.start == ended.start:
        return ended
    return Runtime(start=begun.start, end=ended.start, numerics=ended.numerics)
