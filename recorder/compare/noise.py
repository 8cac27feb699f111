"""Values that differ in every run although the computation is the same: places, durations and rates.

They are reported, and do not decide a verdict. The rules are narrow on purpose, since a wrong "reproduced" is worse
than a wrong "diverged":

- A string is equal if it differs only in the workspace folder of a replay, or in the time in the name of an output.
- A number is a duration or a rate if its name says so, as ``train_runtime`` and ``steps_per_second`` do. A duration
  must also be possible: it is not longer than the run. A name with a word such as ``limit`` or ``max`` is a parameter.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from typing import NamedTuple

DURATION = "a duration"
RATE = "a rate"

# Strings, which re compiles and caches at their first use: that takes 5 ms, and few comparisons need them.
_DURATIONS = (
    r"(?:.*_)?(?:runtime|walltime|wall_time|wall_clock|wallclock|wall_clock_time|elapsed|elapsed_time|time_elapsed)"
    r"(?:_(?P<unit>s|sec|secs|seconds|ms|us|ns))?"
    # scikit-learn's cross_validate and GridSearchCV; Ray Tune.
    r"|(?:mean_|std_)?(?:fit|score)_time|refit_time|time_(?:this_iter|total)_s"
)
# A speed of physics (meters_per_second) is a result, so the counted things are listed.
_RATES = (
    r"(?:.*_)?(?:samples|steps|iterations|iters|its|it|tokens|examples|images|frames|batches|episodes|epochs|items|rows"
    r"|requests|words|records|sequences|flops)_per_(?:second|sec|s)"
)
_PARAMETERS = frozenset(
    ("limit", "max", "min", "maximum", "minimum", "budget", "timeout", "target", "threshold", "deadline", "allowed",
     "requested", "expected", "predicted", "simulated", "sim")
)  # fmt: skip
_CLOCK = r"(?:\d+ days?, )?(\d{1,3}):(\d\d)(?::(\d\d(?:\.\d+)?))?"
_SECONDS = {"ms": 1e-3, "us": 1e-6, "ns": 1e-9}
# Clocks of the program and of the recording need not agree to the last bit.
_SLACK_S = 1.0


class Replacement(NamedTuple):
    """A string that is specific to one run, and the string to compare in its place."""

    old: str
    new: str


class Noise:
    """The strings that are specific to each of two runs, and the longest possible duration in seconds.

    `left` and `right` are the replacements of the two sides. Without `longest_s`, no number is a duration.
    """

    def __init__(
        self,
        left: Iterable[Replacement] = (),
        right: Iterable[Replacement] = (),
        *,
        longest_s: float | None = None,
    ) -> None:
        # Longer ones first: one can be a prefix of another.
        self._sides = tuple(
            tuple(sorted(set(side), key=lambda one: -len(one.old))) for side in (left, right)
        )
        self._longest_s = longest_s

    def steady(self, text: str, side: int) -> str:
        """Return a string of side 0 or 1 without the parts that are specific to its run."""
        for old, new in self._sides[side]:
            text = text.replace(old, new)
        return text

    def steady_bytes(self, data: bytes, side: int) -> bytes:
        """Return bytes of side 0 or 1 without the parts that are specific to its run."""
        for old, new in self._sides[side]:
            data = data.replace(old.encode(), new.encode())
        return data

    @property
    def has_places(self) -> bool:
        """Return True if a side has specific strings."""
        return any(self._sides)

    def measure(self, name: str, *values: float | int | str) -> str:
        """Return `DURATION` or `RATE` if the values under a name are measurements of the run, or else ""."""
        kind, scale_s = _kind_of(name)
        if kind == DURATION and self._longest_s is not None:
            longest = self._longest_s + _SLACK_S
            seconds = [_seconds(value, scale_s) for value in values]
            return kind if all(0 <= s <= longest for s in seconds) else ""
        if kind == RATE and all(isinstance(v, int | float) and v >= 0 for v in values):
            return kind
        return ""


@functools.lru_cache(maxsize=4096)
def _kind_of(name: str) -> tuple[str, float]:
    """Return the kind of measurement that the last part of a path names, and its unit in seconds."""
    last = re.split(r"[./:\s]", re.sub(r"\[[^\]]*\]", "", name))[-1]
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", last).lower().replace("-", "_").strip("_")
    if _PARAMETERS & set(snake.split("_")):
        return "", 1.0
    duration = re.fullmatch(_DURATIONS, snake)
    if duration:
        return DURATION, _SECONDS.get(duration["unit"] or "", 1.0)
    return (RATE if re.fullmatch(_RATES, snake) else ""), 1.0


def _seconds(value: float | int | str, scale_s: float) -> float:
    if isinstance(value, str):
        clock = re.fullmatch(_CLOCK, value.strip())
        if clock is None:
            return -1.0
        first, second, third = clock.groups()
        if third is None:
            return int(first) * 60.0 + int(second)
        return int(first) * 3600.0 + int(second) * 60.0 + float(third)
    return float(value) * scale_s if value == value else -1.0


NONE = Noise()
