"""Tests for the description of exceptions, including those that cannot be formatted."""

from __future__ import annotations

import pytest
from project import Project

from recorder.capture.failure import describe_failure
from recorder.store.store import RunStore


class Unprintable(Exception):
    """An exception whose message cannot be formatted."""

    def __str__(self) -> str:
        raise RuntimeError("no message")


class Restless(Exception):
    """An exception whose notes cannot be read."""

    @property
    def __notes__(self) -> list[str]:
        raise RuntimeError("no notes")


def caught(error: BaseException) -> BaseException:
    """Return the exception with a traceback."""
    try:
        raise error
    except BaseException as raised:  # noqa: BLE001 - any exception is wanted
        return raised


def test_an_ordinary_exception() -> None:
    """Class, message, and traceback are those of Python."""
    failure = describe_failure(caught(ValueError("no such value")))
    assert (failure.type, failure.message) == ("builtins.ValueError", "no such value")
    assert (
        failure.traceback.endswith("ValueError: no such value\n")
        and "in caught" in failure.traceback
    )


@pytest.mark.parametrize("error", [Unprintable(), Restless("x")])
def test_what_cannot_be_formatted(error: Exception) -> None:
    """If the class's own code raises, the failure still has a message and a traceback."""
    failure = describe_failure(caught(error))
    assert failure.message in ("<exception str() failed>", "x")
    assert type(error).__name__ in failure.traceback and "in caught" in failure.traceback


def test_lone_surrogates() -> None:
    """A lone surrogate, which UTF-8 cannot encode, is escaped in the message and in the traceback."""
    failure = describe_failure(caught(ValueError("file \udcff")))
    assert failure.message == "file \\udcff"
    assert "\\udcff" in failure.traceback and "\udcff" not in failure.traceback


def test_a_huge_message() -> None:
    """The middle of a huge message is cut out, and the number of missing characters is stated."""
    failure = describe_failure(caught(ValueError("a" * 1_000_000 + "end")))
    assert len(failure.message) < 21_000 and failure.message.endswith("end")
    assert "[recorder: 980003 characters cut here]" in failure.message


FAILING = """
from recorder import record

class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError("no message")

@record
def run(kind):
    print("before")
    raise Unprintable() if kind == "str" else ValueError("\\udcff")

for kind in ("str", "surrogate"):
    try:
        run(kind)
    except Exception as error:
        print(type(error).__name__)
"""


def test_such_a_run_has_failed(project: Project) -> None:
    """A run that ends with such an exception is recorded as failed, with its output, and can be shown."""
    project.write("failing.py", FAILING)
    done = project.python("failing.py")
    assert (
        done.stdout == "before\nUnprintable\nbefore\nValueError\n" and "Warning" not in done.stderr
    )
    runs = RunStore(project.root / ".recorder").runs()
    assert [run.status for run in runs] == ["failed", "failed"]
    assert "<exception str() failed>" in project.recorder("show", "1").stdout
    assert "\\udcff" in project.recorder("show", "2").stdout
