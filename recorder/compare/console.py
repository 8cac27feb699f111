"""Console output as evidence: a comparison that ignores dates, times of day, and measured durations."""

from __future__ import annotations

import re

from ..codec import Comparison, Numbers
from .content import compare_files

_NUMBER = r"\d+(?:[.,]\d+)?(?:[eE][-+]?\d+)?"
_UNIT = r"(?:ns|us|µs|μs|ms|msecs?|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?)"
# ISO dates, the dates of `date` and of HTTP, and times of day. A date without a time decides: it may be data.
_CLOCK = re.compile(
    r"\b\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?: ?(?:Z|UTC|[-+]\d\d:?\d\d))?"
    r"|\b(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? )?(?:(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]* +\d{1,2}"
    r"|\d{1,2} (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*(?: \d{4})?),? \d\d:\d\d:\d\d"
    r"(?:[.,]\d+)?(?: [A-Z]{3,4})?(?: \d{4})?"
    r"|\b\d\d:\d\d:\d\d(?:[.,]\d+)?\b"
)
# A number is a measured duration only where a word on its left says so: "period: 2.1 s" may be a result.
_DURATION = re.compile(
    rf"(?i)((?<![A-Za-z])(?:elapsed|took|taken|runtime|duration|eta|wall[ _-]?(?:clock|time)|"
    rf"(?:run|cpu|total|execution|training|train|eval|fit|compute|process)[ _-]time|"
    rf"(?:finished|completed|done|ran|passed|failed|built|loaded) in)"
    rf"(?:[ _-]time)?(?:[ _]?\(?{_UNIT}\)?)?[\"']?\s*[:=]?\s*)"
    rf"(?:{_NUMBER}\s*{_UNIT}\b\s*)*(?:{_NUMBER}(?:\s*{_UNIT}\b)?)"
)
# Rates, and the timings in progress bars such as "[00:01<00:02, 3.2it/s]".
_RATE = re.compile(
    rf"(?i)\[\d\d:\d\d(?::\d\d)?<[^\]]*\]|\b{_NUMBER}\s*(?:[kMG]?(?:it|iter|iters|step|steps|sample|samples|epoch|batch|row|rows"
    rf"|token|tokens|B|iB|bit)/s|s/(?:it|step|epoch|batch)|{_UNIT}/(?:it|step|epoch|batch|loop))"
)


def steady_console(text: str) -> str:
    """Return console output without dates, durations, and rates; of a line that was overwritten, only its end."""
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]
    text = _RATE.sub("<rate>", "\n".join(lines))
    return _CLOCK.sub("<time>", _DURATION.sub(r"\1<duration>", text))


def compare_console(name: str, a: str, b: str, *, numbers: Numbers | None = None) -> Comparison:
    """Compare the output of two runs; "equal" means that they differ in dates, durations, and rates only."""
    if a == b:
        return Comparison(verdict="identical")
    left, right = steady_console(a), steady_console(b)
    if left == right:
        return Comparison(verdict="equal")
    return compare_files(name, left.encode(), right.encode(), numbers=numbers or Numbers())
