"""recorder: a flight recorder for Python experiments.

::

    from recorder import record, log, save

    @record
    def train(lr: float = 0.1, seed: int = 0):
        ...
        log(step=epoch, loss=loss)
        save("model.npz")
        return {"accuracy": accuracy}

Each call of `train` leaves a run in the store; ``recorder list``, ``recorder diff`` and ``recorder replay``
take it from there. `Store` reads the runs from Python.
"""

from __future__ import annotations

TYPE_CHECKING = (
    False  # typing takes 5 ms to import, and the process that keeps the console needs none of it
)
if TYPE_CHECKING:
    from typing import Any

    from .api.decorator import record
    from .api.run import Run
    from .api.start_run import start_run
    from .api.store import Store
    from .errors import RecorderError, RecorderWarning
    from .recording.current import current_run, jax_key, log, rng, save, save_figure, track_input
    from .recording.run import ActiveRun

__version__ = "0.1.0"

__all__ = [
    "ActiveRun",
    "RecorderError",
    "RecorderWarning",
    "Run",
    "Store",
    "current_run",
    "jax_key",
    "log",
    "record",
    "rng",
    "save",
    "save_figure",
    "start_run",
    "track_input",
]

# Each name is loaded with its first use: a program that only decorates pays for no database.
_HOMES = {
    "RecorderError": "errors",
    "RecorderWarning": "errors",
    "current_run": "recording.current",
    "jax_key": "recording.current",
    "log": "recording.current",
    "record": "api.decorator",
    "rng": "recording.current",
    "save": "recording.current",
    "save_figure": "recording.current",
    "track_input": "recording.current",
    "start_run": "api.start_run",
    "Run": "api.run",
    "ActiveRun": "recording.run",
    "Store": "api.store",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f".{home}", __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
