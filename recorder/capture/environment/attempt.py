"""A description that fails is said, and costs no experiment its run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def attempt(describe: Callable[[], T], what: str, report: Callable[[str], None]) -> T | None:
    """What `describe` says; None, and a word to `report`, where it raises."""
    try:
        return describe()
    except Exception as error:  # noqa: BLE001 - reported; libraries are asked in whatever state they are
        text = " ".join(str(error).split())
        said = f"{type(error).__name__}: {text}" if text else type(error).__name__
    report(f"the {what} could not be described: {said}")
    return None
