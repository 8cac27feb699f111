"""A function's own text, told apart from the file that it stands in."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable
from typing import Any

from ..digest import digest_json


def describe_function(function: Callable[..., Any]) -> tuple[str | None, str | None]:
    """The digest of the function's own text, and the text; None where it is not to be had.

    Decorators are part of it; indentation and blanks at the ends of lines are not.
    """
    try:
        text = inspect.getsource(inspect.unwrap(function))
    except (OSError, TypeError):
        return None, None
    lines = [line.rstrip() for line in textwrap.dedent(text).splitlines()]
    text = "\n".join(lines).strip() + "\n"
    return digest_json("source", text), text
