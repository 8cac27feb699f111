"""What a run could not record, said once: as a warning at the user's own line, and in the record."""

from __future__ import annotations

import sys
import warnings

from ..errors import EncodeError, RecorderError, RecorderWarning
from ..paths import PACKAGE
from ..secrets.register import Secrets


class Problems:
    """Called with each thing that is not recorded; `said` has what the record is to say.

    With `strict` it is an error, until the experiment has ended: from then on its own result wins.
    """

    def __init__(self, secrets: Secrets, *, strict: bool) -> None:
        self.said: list[str] = []
        self.strict = strict
        self._secrets = secrets

    def __call__(self, message: str, *, error: RecorderError | None = None) -> None:
        """Say it; raises `error`, or EncodeError, where it is strict."""
        message = self._secrets.scrub(message, "warnings")
        if self.strict:
            raise error or EncodeError(message)
        if message not in self.said:
            self.said.append(message)
            warn(message)


def warn(message: str) -> None:
    """A RecorderWarning at the line of the first caller outside recorder."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, RecorderWarning, stacklevel=level + 1)


def one_line(error: BaseException) -> str:
    """The error's text, or its class, in one line."""
    text = str(error).strip() or type(error).__name__
    return " ".join(text.split())
