"""The outputs of a run while it lasts: saved ones, files in the run's folder, and files found after the run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from .. import codec
from ..errors import RecorderError, SaveError
from ..paths import make_absolute, place_in
from ..records import JSON, Hazard, Output
from ..secrets.redaction import redact_encoded
from ..secrets.register import Secrets
from ..store.live.live import Live
from .discovered_outputs import Finder
from .monitors import Observation
from .problems import Problems, one_line
from .project import Captured

_RESULT = "the result"


class Outputs:
    """The outputs of a run so far, by name; a later output replaces an earlier one of the same name.

    `opaque` lists the values that could not be encoded; `written` the files below the root, relative to it, which no
    longer count as code.
    """

    def __init__(
        self, live: Live, *, captured: Captured, secrets: Secrets, report: Problems
    ) -> None:
        self.opaque: list[Hazard] = []
        self.written: set[str] = set()
        self._outputs: dict[str, Output] = {}
        self._saved: set[str] = set()
        self._store = captured.project.store
        self._root = captured.project.root
        self._live = live
        self._captured = captured
        self._secrets = secrets
        self._report = report
        self._finder = Finder(self._store, live.path, root=self._root, report=report)

    @property
    def unlisted(self) -> tuple[str, ...]:
        """The names of files that either this run or a concurrent one wrote."""
        return self._finder.unlisted

    @property
    def all(self) -> tuple[Output, ...]:
        """The outputs, sorted by name."""
        return tuple(self._outputs[name] for name in sorted(self._outputs))

    def save(self, target: Any, name: str | None) -> None:
        """Keep the file or folder at a path, or a value; report an output that cannot be kept."""
        try:
            if isinstance(target, str | Path) or hasattr(target, "__fspath__"):
                output = self._save_path(target, name)
            else:
                output = self._save_value(target, name)
        except (RecorderError, OSError) as error:
            problem = f"output {name or str(target)!r} was not saved: {one_line(error)}"
            self._report(problem, error=SaveError(problem, name=name or str(target)))
        else:
            self._add(output)

    def save_figure(self, figure: Any, name: str) -> None:
        """Keep a matplotlib or plotly figure; report one that cannot be drawn."""
        from ..capture.figures import draw

        try:
            name, data = draw(figure, name)
            digest = self._store.objects.put_bytes(data)
        except Exception as error:  # noqa: BLE001 - raised by the plotting library; the experiment continues
            problem = f"figure {name!r} was not saved: {one_line(error)}"
            self._report(problem, error=SaveError(problem, name=name))
        else:
            self._add(Output(name=name, kind="file", digest=digest, size_bytes=len(data)))

    def keep_result(self, value: Any) -> JSON:
        """Return the form of the function's return value; its objects are in the store."""
        return self._keep_value(value, _RESULT)[0]

    def take_own_files(self) -> None:
        """Keep the files and folders in the run's folder."""
        if self._live.files.exists():
            for entry in sorted(self._live.files.iterdir()):
                self.save(entry, entry.name)

    def take_found_files(self, observation: Observation, *, number: int, limit_bytes: int) -> None:
        """Keep the files that the run wrote without saving them; a saved output of the same name wins."""
        found = self._finder.find(
            observation.watch,
            number=number,
            held=self._captured.files,
            saved=self._saved,
            readings=observation.readings,
        )
        for path in found:
            try:
                output = self._finder.keep(path, limit_bytes=limit_bytes)
            except (RecorderError, OSError) as error:
                self._report(
                    f"the file {path}, which the run wrote, was not kept: {one_line(error)}"
                )
                continue
            self._outputs.setdefault(output.name, output)
            in_root = place_in(path, self._root)
            if in_root is not None and (
                path in observation.watch.written or not self._captured.holds(in_root)
            ):
                self.written.add(in_root)

    def _add(self, output: Output) -> None:
        name = self._secrets.scrub(output.name, "outputs")
        if name != output.name:
            self._report(f"an output's name contains a credential: it is recorded as {name!r}")
            path = None if output.path is None else self._secrets.scrub(output.path, "outputs")
            output = msgspec.structs.replace(output, name=name, path=path)
        self._outputs[output.name] = output
        try:
            self._live.note_output(msgspec.json.encode(output))
        except OSError as error:
            problem = f"output {output.name!r} is lost if the run is killed: {one_line(error)}"
            self._report(problem, error=SaveError(problem, name=output.name))

    def _save_path(self, target: Any, name: str | None) -> Output:
        path = Path(target)
        cwd = os.getcwd()  # noqa: PTH109
        absolute = make_absolute(str(path), cwd=cwd)
        place = place_in(absolute, cwd, self._root)
        in_root = place_in(absolute, self._root)
        if in_root is not None:
            self.written.add(in_root)
        self._saved.add(os.path.realpath(absolute))
        name, place = name or place or path.name, place or str(path)
        if path.is_dir():
            tree = self._store.objects.put_tree(path)
            return Output(
                name=name, kind="folder", digest=tree.digest, size_bytes=tree.size_bytes, path=place
            )
        digest, size = self._store.objects.put_file(path)
        return Output(name=name, kind="file", digest=digest, size_bytes=size, path=place)

    def _save_value(self, value: Any, name: str | None) -> Output:
        if name is None:
            raise SaveError(
                f"a value of type {type(value).__name__} needs a name: save(value, name=...)",
                name="",
            )
        form, size = self._keep_value(value, f"output {name!r}")
        return Output(
            name=name, kind="value", digest=codec.identity(form), size_bytes=size, form=form
        )

    def _keep_value(self, value: Any, label: str) -> tuple[JSON, int]:
        """Return the value's form and its size in bytes; its objects are in the store."""
        encoded = self._encode_value(value, label)
        for path in encoded.opaque:
            inside = f" ({path})" if path else ""
            self.opaque.append(Hazard(kind="opaque value", detail=f"{label}{inside}"))
            self._report(
                f"{label}{inside} is opaque: it cannot be encoded, so a replay cannot compare it"
            )
        for payload in encoded.objects.values():
            self._store.objects.put_bytes(payload)
        size = sum(len(payload) for payload in encoded.objects.values())
        return encoded.form, size or len(msgspec.json.encode(encoded.form))

    def _encode_value(self, value: Any, label: str) -> codec.Encoded:
        """Encode a value; credentials are redacted from a result, but not from an output that the user saves."""
        if label != _RESULT:
            return codec.encode(value)
        encoded = codec.encode(value, inline_limit=None)
        return redact_encoded(encoded, self._secrets, place="result", is_result=True)
