"""The runs of a sweep as lines of text."""

from __future__ import annotations

from collections.abc import Mapping

from ...batch.report import Ended, ProcessReport
from ...store.store import RunStore
from ..text import duration, printable, shorten


def describe_cell(ended: Ended, varied: Mapping[str, str]) -> str:
    """Describe in one line how the run of a cell ended, with the error message if it failed."""
    report = ended.report
    name = "no run" if report.number is None else f"run {report.number}"
    values = " ".join(f"{key}={value}" for key, value in varied.items())
    status = "reused" if report.reused else report.status
    line = f"{name}  {values}  {status}  {duration(ended.duration_s)}"
    reason = _reason(report)
    return printable(f"{line}  {shorten(reason, 200)}" if reason else line)


def _reason(report: ProcessReport) -> str:
    if report.error or report.status != "failed" or report.number is None:
        return report.error
    failure = RunStore(report.store).get(report.number).failure
    if failure is None:
        return ""
    return f"{failure.type.removeprefix('builtins.')}: {failure.message}".partition("\n")[0]
