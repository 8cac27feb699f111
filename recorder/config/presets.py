"""Named presets: functions beside the experiment that return values for its parameters."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ..errors import ConfigError
from .settings import Assignment

Preset = Callable[[], Any]


def call_presets(
    presets: Mapping[str, Preset], names: Sequence[str], *, experiment: str
) -> Iterator[Assignment]:
    """What the presets of those names return, in turn; their keys may be dotted, their values are taken as they are.

    Raises ConfigError for a name that there is none of, and for one that returns no mapping.
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
        advice = f"it has none: decorate a function that returns a dict with @{experiment}.preset"
        return ConfigError(f"{experiment} has no preset {name!r}: {advice}", key=name)
    near = difflib.get_close_matches(name, presets, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    said = f"its presets are {', '.join(presets)}"
    return ConfigError(f"{experiment} has no preset {name!r}{hint}: {said}", key=name)
