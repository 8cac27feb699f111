"""Error handling for descriptions: if capturing a detail fails, warn; never fail the run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def attempt(describe: Callable[[], T], what: str, report: Callable[[str], None]) -> T | None:
    """Return the result of `describe`. If it raises, pass a warning to `report` and return None."""
    try:
        return describe()
    except Exception as error:  # noqa: BLE001 - reported; libraries may be in any state
        text = " ".join(str(error).split())
        reason = f"{type(error).__name__}: {text}" if text else type(error).__name__
    report(f"the {what} could not be captured: {reason}")
    return None
