"""The exception that ended a run."""

from __future__ import annotations

from ..paths import PACKAGE
from ..records import Failure
from ..secrets.register import Secrets

# The limits on a stored message and traceback, in characters. An exception can carry a whole file.
_MAX_MESSAGE = 20_000
_MAX_TRACEBACK = 200_000


def describe_failure(error: BaseException, *, secrets: Secrets | None = None) -> Failure:
    """Describe an exception: its class, message, and traceback, without recorder's frames and without credentials.

    This never raises. A message that cannot be formatted is replaced as in Python's own tracebacks, and lone
    surrogates, which cannot be stored, are escaped.
    """
    secrets = Secrets() if secrets is None else secrets
    kind = type(error)
    return Failure(
        type=_storable(f"{kind.__module__}.{kind.__qualname__}", _MAX_MESSAGE),
        message=_storable(secrets.scrub(_message(error), "failure"), _MAX_MESSAGE),
        traceback=_storable(secrets.scrub(own_traceback(error), "failure"), _MAX_TRACEBACK),
    )


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - the code of the exception's class is the user's
        return "<exception str() failed>"


def _storable(text: str, limit: int) -> str:
    """Return the text in valid Unicode, with its middle cut out if it is longer than `limit`."""
    if len(text) > limit:
        half = limit // 2
        text = f"{text[:half]}\n[recorder: {len(text) - limit} characters cut here]\n{text[-half:]}"
    return text.encode("utf-8", "backslashreplace").decode()


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
    try:
        return "".join(traceback.format_exception(type(error), error, tb))
    except Exception:  # noqa: BLE001 - attributes such as __notes__ are the user's too
        return "".join(
            [*traceback.format_tb(tb), f"{type(error).__qualname__}: {_message(error)}\n"]
        )
