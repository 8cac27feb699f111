"""The runs of a sweep in words."""

from __future__ import annotations

from collections.abc import Mapping

from ...batch.report import Ended, ProcessReport
from ...store.store import RunStore
from ..text import duration, shorten


def describe_cell(ended: Ended, varied: Mapping[str, str]) -> str:
    """How the run of a cell ended, in one line, and of one that failed what it said."""
    report = ended.report
    name = "no run" if report.number is None else f"run {report.number}"
    values = " ".join(f"{key}={value}" for key, value in varied.items())
    said = _reason(report)
    status = "reused" if report.reused else report.status
    text = f"{name}  {values}  {status}  {duration(ended.duration_s)}"
    return f"{text}  {shorten(said, 200)}" if said else text


def _reason(report: ProcessReport) -> str:
    if report.error or report.status != "failed" or report.number is None:
        return report.error
    failure = RunStore(report.store).get(report.number).failure
    if failure is None:
        return ""
    return f"{failure.type.removeprefix('builtins.')}: {failure.message}".partition("\n")[0]
