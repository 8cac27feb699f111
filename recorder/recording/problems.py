"""Report each thing that a run could not record, once: as a warning at the user's line, and in the record."""

from __future__ import annotations

import sys
import warnings

from ..errors import EncodeError, RecorderError, RecorderWarning
from ..paths import PACKAGE
from ..secrets.register import Secrets


class Problems:
    """The problems of one run, called with each; `messages` has those for the record.

    If `strict` is set, a problem is an error. It is reset when the experiment ends, whose own result then wins.
    """

    def __init__(self, secrets: Secrets, *, strict: bool) -> None:
        self.messages: list[str] = []
        self.strict = strict
        self._secrets = secrets

    def __call__(self, message: str, *, error: RecorderError | None = None) -> None:
        """Report a problem, without credentials; if strict, raise `error`, by default an EncodeError."""
        message = self._secrets.scrub(message, "warnings")
        if self.strict:
            raise error or EncodeError(message)
        if message not in self.messages:
            self.messages.append(message)
            warn(message)


def warn(message: str) -> None:
    """Issue a RecorderWarning at the line of the first caller outside recorder."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, RecorderWarning, stacklevel=level + 1)


def one_line(error: BaseException) -> str:
    """Return the error's message, or its class name if there is none, in one line."""
    text = str(error).strip() or type(error).__name__
    return " ".join(text.split())
