"""The exception that ended a run."""

from __future__ import annotations

from ..paths import PACKAGE
from ..records import Failure
from ..secrets.register import Secrets


def describe_failure(error: BaseException, *, secrets: Secrets | None = None) -> Failure:
    """Describe an exception: its class, message, and traceback, without recorder's frames and without credentials."""
    secrets = Secrets() if secrets is None else secrets
    kind = type(error)
    return Failure(
        type=f"{kind.__module__}.{kind.__qualname__}",
        message=secrets.scrub(str(error), "failure"),
        traceback=secrets.scrub(own_traceback(error), "failure"),
    )


def own_traceback(error: BaseException) -> str:
    """Format the traceback without recorder's own frames at its start."""
    import traceback

    tb = error.__traceback__
    while (
        tb is not None
        and tb.tb_next is not None
        and tb.tb_frame.f_code.co_filename.startswith(PACKAGE)
    ):
        tb = tb.tb_next
    return "".join(traceback.format_exception(type(error), error, tb))
