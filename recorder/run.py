"""The live run: `log`, `save`, `dir`; it begins a record, and finishes it.

The order matters. What can be captured is captured before the function starts, so that what cannot is
said in time; what came out is put into the store before the record that names it; and from the moment
the function runs its own result or exception wins: trouble of the recorder's own is warned about, and
what was written so far stays in ``live/<id>/``.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from time import monotonic
from typing import Any

import msgspec

from . import codec
from .capture.config import Config, encode_config
from .capture.console import Console, prepare
from .capture.failure import describe_failure
from .capture.figures import draw
from .capture.hazards import find_hazards, known_hazards, unwatch_hazards, watch_hazards
from .capture.inputs import Reading, Watch, watch_inputs
from .capture.process import DELETED, describe_process
from .capture.readers import attach
from .capture.redaction import redact_encoded
from .capture.sampling import Sampler, can_sample
from .capture.secrets import Secrets, secret_digest
from .capture.seed import Planting, plant
from .capture.sifting import is_secret_file
from .capture.usage import Meter
from .digest import digest_json
from .errors import EncodeError, HazardError, RecorderError, RecorderWarning, SaveError
from .found import Finder
from .grade import advise, inherent, say
from .points import SAMPLED, as_number, named_values
from .records import (
    JSON,
    Change,
    Content,
    Function,
    Hazard,
    Input,
    Metric,
    Output,
    Part,
    Ranks,
    Record,
    Redacted,
    Runtime,
    Seed,
    Status,
    Tolerance,
    fingerprint,
)
from .series import SeriesWriter
from .setting import Setting
from .store.store import Store

_RESULT = "the result"


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


class Run:
    """One execution of an experiment, while it lasts.

    `id` and `number` name it; `store` is where it is written; `dir` is a folder of its own, whose files
    become outputs; `config` has the arguments. Of a block of code (`start_run`), what is put into
    `config` later counts, and `result` is what it has come to. `note` is a remark for the record.
    """

    def __init__(self, call: Call) -> None:
        """Begin the run: write it as running, and start to watch. Raises RecorderError."""
        self._call = call
        self._pid = os.getpid()
        self._outputs: dict[str, Output] = {}
        self._warnings: list[str] = []
        self._said: set[str] = set()
        self._opaque: list[Hazard] = []
        self._written: set[str] = set()
        self._saved: set[str] = set()
        self._finished = False
        self.result: Any = None
        self.note = ""
        self.config = dict(call.arguments)
        self._secrets = Secrets(named=call.secrets, public=call.public)
        self._secrets.add(call.redacted)
        self.store: Store = call.setting.store
        for warning in call.warnings:
            self._report(warning)
        prepare()  # the console's first start takes 15-20 ms, which pass while the code is captured
        self._live = self.store.reserve()
        try:
            config = self._encode_config(call.arguments)
            self._setting = call.setting.capture(self._report)
            if call.usage and not can_sample():
                self._report("usage= needs psutil: pip install 'run-recorder[usage]'; no samples")
            first = self._first_record(config)
            if call.strict:
                self._refuse_known(first)
            self.record = self.store.begin(first)
        except BaseException:
            self._live.close()
            raise
        self._begin()

    @property
    def id(self) -> str:
        """The run's global id."""
        return self.record.id

    @property
    def number(self) -> int:
        """The run's number in its store."""
        return self.record.number

    @property
    def is_ours(self) -> bool:
        """Whether this is the run's own process. A child that was forked from it has no part in the run."""
        return self._pid == os.getpid()

    @property
    def seed(self) -> int:
        """The integer from which the run's generators were seeded."""
        return self._call.seed.value

    @property
    def traceback(self) -> str:
        """The traceback of the exception that ended the run, "" where none did."""
        return self.record.failure.traceback if self.record.failure is not None else ""

    @property
    def dir(self) -> Path:
        """A folder of the run's own; every file and folder in it becomes an output of that name."""
        self._live.files.mkdir(exist_ok=True)
        return self._live.files

    # Beginning

    def _encode_config(self, arguments: Mapping[str, Any]) -> Config:
        config = encode_config(arguments, secrets=self._secrets, receiver=self._call.receiver)
        for name in config.opaque:
            self._opaque.append(Hazard(kind="opaque argument", detail=name))
            self._report(
                f"argument {name!r} of {self._call.experiment} is opaque: nothing can encode it,"
                " so the run will not be replayable"
            )
        return config

    def _first_record(self, config: Config) -> Record:
        objects = self.store.objects
        for payload in (*self._call.objects, *config.objects.values()):
            objects.put_bytes(payload)
        code = self._setting.code
        process = describe_process(
            root=self._setting.root, ranks=self._call.ranks, secrets=self._secrets
        )
        if not process.cwd or process.cwd.endswith(DELETED):
            self._report("the working directory has been deleted: a replay begins in an empty one")
        return Record(
            id=self._live.id,
            experiment=self._call.experiment,
            function=self._call.function,
            started=datetime.now(timezone.utc),
            config=config.forms,
            seed_info=self._call.seed,
            code=code,
            environment=self._setting.environment,
            runtime=self._setting.runtime,
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
        known = known_hazards(record.function, root=self._root, runtime=self._setting.loaded)
        hazards = [*(one for one in inherent(record) if one.kind != "redacted"), *known]
        found = say(hazards)
        if found:
            raise HazardError(
                f"{record.experiment} was not started (strict): {'; '.join(found)}."
                f" What to do: {'; '.join(advise(hazards))}",
                hazards=found,
            )

    def _listed_secrets(self) -> tuple[Redacted, ...]:
        self._secrets.add(self._setting.redacted)
        return self._secrets.found

    def _begin(self) -> None:
        """Start everything that watches; what has been started is stopped again if one of them fails."""
        interval_s = self._call.usage if self._call.usage and can_sample() else None
        self._series = SeriesWriter(self._live.series)
        self._console = Console(self._live.stdout, self._live.stderr, values=self._secrets.values)
        attach()
        root = self._setting.root
        self._finder = Finder(self.store, self._live.path, root=root, report=self._report)
        self._watch: Watch = watch_inputs(exclude=self._setting.private)
        watch_hazards()
        self._console.start()
        self._sampler = Sampler(interval_s, self._series.add) if interval_s else None
        self._meter = Meter()
        in_process = self._call.function.kind != "command"
        self._planting = plant(self._call.seed.value) if in_process else Planting(0, ())
        self._started = monotonic()

    # While it runs

    def log(
        self,
        values: Mapping[str, Any] | None = None,
        /,
        *,
        step: int | float | None = None,
        **named: Any,
    ) -> None:
        """Add a point to each metric named, at `step` or at the metric's own next one.

        Values are numbers, booleans (1 or 0), or scalars of NumPy and PyTorch; a mapping in `values` names
        its metrics with dots. Anything else is warned about and left out (strict: TypeError).
        """
        if not self.is_ours:
            self._warn_forked("log")
            return
        self.log_named(values, named, step=step)

    def log_named(
        self, values: Mapping[str, Any] | None, named: dict[str, Any], *, step: int | float | None
    ) -> None:
        """The same, with the metrics that `log` was given by name as a dict."""
        if not self.is_ours:
            self._warn_forked("log")
            return
        if type(step) is not int:
            step = as_number(step)
        # (Written out: it is a third of what a point costs.)
        for value in named.values() if values is None else (values,):
            if type(value) is not float and type(value) is not int:
                named = self._points(values, named)
                break
        try:
            self._series.add(named, step=step)
        except OSError as error:
            what = f"metrics are not written yet, and lost if the run is killed: {_one_line(error)}"
            self._report(what, error=SaveError(what, name="series"))

    def _points(
        self, values: Mapping[str, Any] | None, named: Mapping[str, Any]
    ) -> dict[str, int | float]:
        points: dict[str, int | float] = {}
        for name, value in named_values({**(values or {}), **named}):
            number = as_number(value)
            if number is None:
                what = f"metric {name!r} is {type(value).__name__}, not a number: not logged"
                self._report(what, error=EncodeError(what, path=name))
            else:
                points[name] = number
        return points

    def save(self, target: Any, *, name: str | None = None) -> None:
        """Keep an output: the file or folder at a path, as it is now, or a value under `name`.

        A `str` or a Path is always a path. A later output of the same name takes the place of the
        earlier one. What cannot be kept is warned about (strict: SaveError).
        """
        if not self.is_ours:
            self._warn_forked("save")
            return
        try:
            output = (
                self._save_path(target, name)
                if _is_path(target)
                else self._save_value(target, name)
            )
        except (RecorderError, OSError) as error:
            what = f"output {name or str(target)!r} was not saved: {_one_line(error)}"
            self._report(what, error=SaveError(what, name=name or str(target)))
        else:
            self._outputs[output.name] = output
            self._note(output)

    def figure(self, figure: Any, name: str) -> None:
        """Keep a figure of matplotlib or plotly as an output: as the format that the name ends in.

        Without one a figure of matplotlib is kept as PNG, one of plotly as JSON. What cannot be drawn is warned
        about (strict: SaveError).
        """
        if not self.is_ours:
            self._warn_forked("figure")
            return
        try:
            name, data = draw(figure, name)
            digest = self.store.objects.put_bytes(data)
        except Exception as error:  # noqa: BLE001 - a library's own; the experiment goes on
            what = f"figure {name!r} was not saved: {_one_line(error)}"
            self._report(what, error=SaveError(what, name=name))
            return
        self._outputs[name] = Output(name=name, kind="file", digest=digest, size_bytes=len(data))
        self._note(self._outputs[name])

    def input(self, path: str | os.PathLike[str]) -> None:
        """Take the file, or every file below the folder, as an input, as it is now.

        What cannot be read is warned about (strict: SaveError).
        """
        if not self.is_ours:
            self._warn_forked("input")
            return
        try:
            self._watch.add(path)
        except OSError as error:
            what = f"input {os.fspath(path)!r} was not recorded: {_one_line(error)}"
            self._report(what, error=SaveError(what, name=os.fspath(path)))

    def _note(self, output: Output) -> None:
        try:
            self._live.note_output(msgspec.json.encode(output))
        except OSError as error:
            what = f"output {output.name!r} is lost if the run is killed: {_one_line(error)}"
            self._report(what, error=SaveError(what, name=output.name))

    def _save_path(self, target: Any, name: str | None) -> Output:
        path = Path(target)
        root = None if self._setting.root is None else str(self._setting.root)
        cwd = os.getcwd()  # noqa: PTH109
        absolute = _absolute(str(path), cwd)
        place = _place(absolute, (cwd, root))
        name = name or place or path.name
        in_root = _place(absolute, (root,))
        if in_root is not None:
            self._written.add(in_root)
        self._saved.add(os.path.realpath(absolute))
        if path.is_dir():
            tree = self.store.objects.put_tree(path)
            digest, size, kind = tree.digest, tree.size_bytes, "folder"
        else:
            digest, size = self.store.objects.put_file(path)
            kind = "file"
        return Output(name=name, kind=kind, digest=digest, size_bytes=size, path=place or str(path))  # type: ignore[arg-type]

    def _save_value(self, value: Any, name: str | None) -> Output:
        if name is None:
            raise SaveError(
                f"a {type(value).__name__} needs a name: save(value, name=...)", name=""
            )
        form, size = self._keep_value(value, f"output {name!r}")
        return Output(
            name=name, kind="value", digest=codec.identity(form), size_bytes=size, form=form
        )

    def _keep_value(self, value: Any, what: str) -> tuple[JSON, int]:
        encoded = self._encode_value(value, what)
        for path in encoded.opaque:
            inside = f" ({path})" if path else ""
            self._opaque.append(Hazard(kind="opaque value", detail=f"{what}{inside}"))
            self._report(
                f"{what}{inside} is opaque: nothing can encode it, so it cannot be compared"
            )
        for payload in encoded.objects.values():
            self.store.objects.put_bytes(payload)
        size = sum(len(payload) for payload in encoded.objects.values())
        return encoded.form, size or len(msgspec.json.encode(encoded.form))

    def _encode_value(self, value: Any, what: str) -> codec.Encoded:
        """The result without what is a credential by its looks; an output is the user's own, and kept as it is."""
        if what != _RESULT:
            return codec.encode(value)
        encoded = codec.encode(value, inline_limit=None)
        return redact_encoded(encoded, self._secrets, place="result", by_name=False)

    def _report(self, message: str, *, error: RecorderError | None = None) -> None:
        """Say once what is not recorded; with strict it is an error."""
        message = self._secrets.scrub(message, "warnings")
        if self._call.strict and not self._finished:
            raise error or EncodeError(message)
        if message not in self._said:
            self._said.add(message)
            self._warnings.append(message)
            warnings.warn(message, RecorderWarning, stacklevel=_user_level())

    def _warn_forked(self, what: str) -> None:
        message = f"{what}() in a process that was forked from run {self.number}: nothing is kept"
        warnings.warn(message, RecorderWarning, stacklevel=_user_level())

    def add_input(self, path: str | os.PathLike[str]) -> None:
        """Take a file, or every file below a folder, as an input. Raises OSError where it cannot be read."""
        self._watch.add(path)

    def warn(self, message: str) -> None:
        """Warn that something is not recorded, once, and note it in the record."""
        self._report(message)

    def place_of(self, path: str | os.PathLike[str]) -> str | None:
        """The path relative to the root of the code, with slashes, None for one that lies outside."""
        root = self._setting.root
        return _place(os.fspath(path), (None if root is None else str(root),))

    # A generator's steps

    def leave(self) -> None:
        """The code that runs from now on is not the run's: its seed and its watch are put aside."""
        if not self._finished:
            self._planting.pause()
            self._watch.pause()

    def enter(self) -> None:
        """The run's code goes on, after `leave`."""
        if not self._finished:
            self._watch.resume()
            self._planting.resume()

    # Ending

    def finish(self, result: Any = None) -> Record:
        """End the run with what the function returned."""
        return self._end("finished", result=result)

    def fail(self, error: BaseException, *, result: Any = None) -> Record:
        """End the run with the exception that came out of the function; `result` is what there is all the same."""
        if isinstance(error, SystemExit) and not error.code:
            return self._end("finished")  # sys.exit() and sys.exit(0) are no failures
        interrupted = isinstance(error, KeyboardInterrupt)
        return self._end("interrupted" if interrupted else "failed", result=result, error=error)

    def _end(
        self, status: Status, *, result: Any = None, error: BaseException | None = None
    ) -> Record:
        if self._finished:
            return self.record
        self._finished = True
        if not self.is_ours:
            self._planting.restore()
            return self.record  # it is the parent's to finish
        duration_s = monotonic() - self._started
        self._stop_watching()
        try:
            self._complete(status, duration_s, result, error)
        except Exception as trouble:  # noqa: BLE001 - the experiment's own result wins over any trouble here
            self._live.close(keep=True)
            warnings.warn(
                f"run {self.number} could not be finished: {_one_line(trouble)}; what it wrote is kept in"
                f" {self._live.path}",
                RecorderWarning,
                stacklevel=_user_level(),
            )
        else:
            self._live.close(reuse=True)
        return self.record

    def _stop_watching(self) -> None:
        self._planting.restore()
        self._usage = self._meter.stop()
        if self._sampler is not None:
            self._sampler.stop()
            if self._sampler.problem:
                self._report(f"sampling the usage ended early: {self._sampler.problem}")
        self._console.stop()
        self._readings = self._watch.stop()
        unwatch_hazards()
        for stream, text in self._console.taken:
            self._secrets.note_text(stream, text)
        for stream, count in zip(("stdout", "stderr"), self._console.cut_bytes, strict=True):
            if count:
                self._report(f"{count} bytes in the middle of {stream} were not kept")
        for warning in (*self._console.warnings, *self._watch.warnings):
            self._report(warning)

    def _complete(
        self, status: Status, duration_s: float, result: Any, error: BaseException | None
    ) -> None:
        kept = error is None or result is not None
        form, _ = self._keep_value(result, _RESULT) if kept else (None, 0)
        self._take_own_files()
        self._take_found_files()
        self._series.close()
        metrics = self._series.metrics(lambda value: codec.encode(value).form)
        self._warn_of_sampled(metrics)
        outputs = tuple(self._outputs[name] for name in sorted(self._outputs))
        record = msgspec.structs.replace(
            self.record,
            status=status,
            finished=datetime.now(timezone.utc),
            duration_s=duration_s,
            seed_info=msgspec.structs.replace(self._call.seed, **self._planting.drawn),
            runtime=self._runtime(),
            code=self._setting.capture_projects(self._report),
            inputs=self._inputs(self._readings),
            result=form,
            outputs=outputs,
            outputs_digest=digest_json("outputs", [[o.name, o.kind, o.digest] for o in outputs]),
            metrics=metrics,
            series=self._series.keep(data=self.store.keep, file=self._keep),
            stdout=self._keep(self._live.stdout),
            stderr=self._keep(self._live.stderr),
            failure=None if error is None else describe_failure(error, secrets=self._secrets),
            config=self._final_config(),
            usage=self._usage,
            note=self.note,
            warnings=tuple(self._warnings),
        )
        record = msgspec.structs.replace(
            record,
            redacted=self._listed_secrets(),
            hazards=self._hazards(record),
        )
        self.record = msgspec.structs.replace(record, fingerprint=fingerprint(record))
        self.store.finish(self.record)
        if self._call.replay_of is None:
            self.store.known_outputs.add(self._written)

    def _final_config(self) -> dict[str, JSON]:
        """As the run began, with what a block of code has put into it since."""
        if self._call.function.kind != "block":
            return self.record.config
        begun = self._call.arguments
        later = {
            name: value
            for name, value in self.config.items()
            if name not in begun or begun[name] is not value
        }
        config = self._encode_config(later)
        for payload in config.objects.values():
            self.store.objects.put_bytes(payload)
        return {**self.record.config, **config.forms}

    def _warn_of_sampled(self, metrics: Mapping[str, Metric]) -> None:
        """Of metrics of the run's own under the names that no verdict goes by."""
        sampled = self._sampler.names if self._sampler is not None else frozenset()
        for name in metrics:
            if name.startswith(SAMPLED) and name not in sampled:
                self._report(
                    f"metric {name!r}: verdicts leave {SAMPLED}* out, which usage= samples"
                )

    def _runtime(self) -> Runtime:
        """As the run began, with how it ends."""
        begun, ended = self.record.runtime, self._setting.capture_runtime(self._report)
        if begun is None or begun.start == ended.start:
            return ended
        return Runtime(start=begun.start, end=ended.start, numerics=ended.numerics)

    @property
    def _root(self) -> str | None:
        return None if self._setting.root is None else str(self._setting.root)

    def _hazards(self, record: Record) -> tuple[Hazard, ...]:
        return find_hazards(
            record,
            root=self._root,
            watch=self._watch,
            runtime=self._setting.loaded,
            opaque=self._opaque,
        )

    def _keep(self, path: Path) -> Content | None:
        return self.store.keep_file(path)

    def _take_own_files(self) -> None:
        if self._live.files.exists():
            for entry in sorted(self._live.files.iterdir()):
                self.save(entry, name=entry.name)

    def _take_found_files(self) -> None:
        """What the run wrote and did not name; what it saved under the same name wins."""
        if self._call.function.kind == "command":
            return  # see `recorder.command`
        found = self._finder.find(
            self._watch,
            number=self.number,
            held=self._setting.files,
            saved=self._saved,
            readings=self._readings,
        )
        for path in found:
            try:
                output = self._finder.keep(path, limit_bytes=self._call.keep_bytes)
            except (RecorderError, OSError) as error:
                self._report(
                    f"the file {path}, which the run wrote, was not kept: {_one_line(error)}"
                )
                continue
            self._outputs.setdefault(output.name, output)
            in_root = _place(path, (str(self._setting.root),))
            if in_root is not None and (
                path in self._watch.written or not self._setting.holds(in_root)
            ):
                self._written.add(in_root)

    def _inputs(self, readings: tuple[Reading, ...]) -> tuple[Input, ...]:
        root = None if self._setting.root is None else str(self._setting.root)
        return tuple(self._input(reading, root) for reading in readings)

    def _input(self, reading: Reading, root: str | None) -> Input:
        """A file of credentials is listed, and neither it nor its digest kept."""
        place = _place(str(reading.path), (root,))
        path = place or str(reading.path)
        if is_secret_file(path):
            digest, stored = secret_digest(reading.digest), False
            self._secrets.note(f"inputs.{path}", digest, "its name is that of a secret")
        else:
            digest = reading.digest
            stored = self._setting.holds(place) or self._store_input(
                reading, inside=place is not None
            )
        return Input(
            path=path,
            digest=digest,
            size_bytes=reading.size_bytes,
            in_root=place is not None,
            stored=stored,
        )

    def _store_input(self, reading: Reading, *, inside: bool) -> bool:
        if not inside and reading.size_bytes > self._call.keep_bytes:
            return False
        if self.store.objects.has(reading.digest):
            return True
        try:
            digest, _ = self.store.objects.put_file(reading.path)
        except OSError:
            return False  # read and deleted: its digest is all there is
        return digest == reading.digest


def _is_path(target: Any) -> bool:
    return isinstance(target, str | Path) or hasattr(target, "__fspath__")


def _absolute(path: str, cwd: str) -> str:
    """The path from the root, without ``..``: what goes up goes up from where a link leads."""
    # (Text: a Path costs ten times as much.)
    whole = os.path.join(cwd, path)  # noqa: PTH118
    return os.path.realpath(whole) if ".." in path else os.path.normpath(whole)


def _place(absolute: str, roots: tuple[str | None, ...]) -> str | None:
    """The path relative to the first of `roots` that holds it, with slashes; None where none does."""
    for root in roots:
        if root is not None:
            found = _below(absolute, root)
            if found is None:
                found = _below(os.path.realpath(absolute), os.path.realpath(root))
            if found is not None:
                return found
    return None


def _below(path: str, folder: str) -> str | None:
    prefix = folder if folder.endswith(os.sep) else folder + os.sep
    if not path.startswith(prefix):
        return None
    return path[len(prefix) :].replace(os.sep, "/") or None


def _one_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return " ".join(text.split())


def _user_level() -> int:
    """The stack level of the first caller outside recorder, for warnings.warn."""
    import sys

    here = str(Path(__file__).parent)
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(here):
        level, frame = level + 1, frame.f_back
    return level
