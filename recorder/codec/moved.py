"""The former names of recorder's modules and functions, which pickles in older stores still refer to.

A function of a notebook is pickled by value, and refers by name to whatever it uses: `log`, or the class behind a
recorded function. This is the only place that knows the old names.
"""

from __future__ import annotations

import io
from typing import Any

_MODULES = {
    "recorder.block": "recorder.api.start_run",
    "recorder.capture.function": "recorder.capture.code.function",
    "recorder.current": "recorder.recording.current",
    "recorder.decorator": "recorder.api.decorator",
    "recorder.driving": "recorder.recording.generators",
    "recorder.experiment": "recorder.recording.experiment",
    "recorder.options": "recorder.recording.options",
    "recorder.reading.content": "recorder.api.content",
    "recorder.reading.diff": "recorder.api.diff",
    "recorder.reading.record": "recorder.api.run",
    "recorder.reading.reference": "recorder.api.reference",
    "recorder.reading.replay": "recorder.api.replay",
    "recorder.reading.runs": "recorder.api.runs",
    "recorder.reading.series": "recorder.api.series",
    "recorder.reading.store": "recorder.api.store",
    "recorder.reading.values": "recorder.api.values",
    "recorder.run": "recorder.recording.run",
}
_NAMES = {
    ("recorder", "Record"): ("recorder", "Run"),
    ("recorder", "figure"): ("recorder", "save_figure"),
    ("recorder", "input"): ("recorder", "track_input"),
    ("recorder.current", "figure"): ("recorder.recording.current", "save_figure"),
    ("recorder.current", "input"): ("recorder.recording.current", "track_input"),
    ("recorder.experiment", "Experiment.main"): ("recorder.api.decorator", "run_main"),
    ("recorder.experiment", "Experiment.preset"): ("recorder.api.decorator", "add_preset"),
    ("recorder.reading.diff", "Diff"): ("recorder.api.diff", "RunDiff"),
    ("recorder.reading.record", "Record"): ("recorder.api.run", "Run"),
    ("recorder.run", "Run"): ("recorder.recording.run", "ActiveRun"),
    ("recorder.store.store", "Store"): ("recorder.store.store", "RunStore"),
}


def present_name(module: str, qualname: str) -> tuple[str, str]:
    """Return the present module and qualified name for those that a payload was written with."""
    return _NAMES.get((module, qualname)) or (_MODULES.get(module, module), qualname)


def loads(data: bytes) -> Any:
    """Unpickle, as `pickle.loads` does, and find former names too. This runs code."""
    import pickle  # takes 2 ms, and most runs have no pickles

    class RelocatingUnpickler(pickle.Unpickler):
        def find_class(self, module_name: str, global_name: str, /) -> Any:
            return super().find_class(*present_name(module_name, global_name))

    return RelocatingUnpickler(io.BytesIO(data)).load()
