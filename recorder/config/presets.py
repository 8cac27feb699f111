"""Named presets: functions next to the experiment that return values for its parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ..errors import ConfigError
from .settings import Assignment, did_you_mean

Preset = Callable[[], Any]


def call_presets(
    presets: Mapping[str, Preset], names: Sequence[str], *, experiment: str
) -> Iterator[Assignment]:
    """Call the presets in order and yield the returned values; keys can be dotted, and values are not converted.

    Raises ConfigError for an unknown name and for a preset that does not return a mapping.
    """
    for name in names:
        if name not in presets:
            raise _no_preset(presets, name, experiment)
        found = presets[name]()
        if not isinstance(found, Mapping):
            kind = type(found).__name__
            raise ConfigError(
                f"preset {name} of {experiment} returned {kind}, not a dict", key=name
            )
        for key, value in found.items():
            yield Assignment(str(key), value, "value", f"preset {name}")


def _no_preset(presets: Mapping[str, Preset], name: str, experiment: str) -> ConfigError:
    if not presets:
        advice = f"to add one, decorate a function that returns a dict with @{experiment}.preset"
        return ConfigError(f"{experiment} has no preset {name!r}: {advice}", key=name)
    message = f"{experiment} has no preset {name!r}{did_you_mean(name, presets)}"
    return ConfigError(f"{message}: its presets are {', '.join(presets)}", key=name)
