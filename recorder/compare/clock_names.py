"""Outputs whose names carry the time of their run: ``run-1764390000.log``, ``outputs/2026-11-29/04-33-12/model.pt``.

Such a name differs in every run. It is matched with its counterpart in the other run if the time in it lies within the
run that wrote it, so that a date that belongs to the data (``sales-2020-01-01.csv``) is never taken for the clock.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from typing import NamedTuple

from .noise import Replacement

# Local time can differ from UTC by up to 14 hours.
_LARGEST_OFFSET = timedelta(hours=14)
_SLACK = timedelta(seconds=2)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAY = r"(?P<year>20\d\d)[-_.]?(?P<month>\d\d)[-_.]?(?P<day>\d\d)"
_HOUR = r"(?P<hour>\d\d)[-_:.h]?(?P<minute>\d\d)(?:[-_:.m]?(?P<second>\d\d))?"
_FRACTION = r"(?:[-_.,]\d{3,9})?"
_TIMES = (
    rf"(?<!\d)(?:{_DAY}(?:[-_T /]{{0,2}}{_HOUR}{_FRACTION})?Z?"
    # TensorBoard's SummaryWriter and the Trainer of transformers: Nov29_04-33-12_host.
    rf"|(?P<name>{'|'.join(_MONTHS)})(?P<date>\d\d)_(?P<h>\d\d)-(?P<m>\d\d)-(?P<s>\d\d)"
    r"|(?P<unix>1[5-9]\d{8}|2\d{9})(?P<digits>\d{3}|\d{6}|\d{9})?(?:\.\d+)?)(?!\d)"
)

# Folders of MLflow and Weights & Biases, and the ids that these trackers draw at random.
_TRACKERS = r"(?:^|/)(?:mlruns|mlartifacts|wandb)/"
_IDS = (
    r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])|(?<=/)\d{18}(?=/)"
    r"|(?<=run-\d{8}_\d{6}-)[0-9a-z]{8}(?=/)|(?<=run-)[0-9a-z]{8}(?=\.wandb$)"
)


class Span(NamedTuple):
    """The begin and the end of a run, in UTC."""

    begin: datetime
    end: datetime

    def holds(self, first: datetime, last: datetime, *, is_local: bool) -> bool:
        """Return True if the interval from `first` to `last` can lie within the run.

        For a local time, the offset from UTC is unknown, but is a multiple of 15 minutes.
        """
        begin, end = self.begin - _SLACK, self.end + _SLACK
        if not is_local:
            return first <= end and last >= begin
        steps = int(_LARGEST_OFFSET / timedelta(minutes=15))
        offsets = (timedelta(minutes=15) * n for n in range(-steps, steps + 1))
        return any(first - offset <= end and last - offset >= begin for offset in offsets)


def _is_within(match: re.Match[str], span: Span) -> bool:
    try:
        if match["unix"]:
            moment = datetime.fromtimestamp(int(match["unix"]), timezone.utc)
            return span.holds(moment, moment + timedelta(seconds=1), is_local=False)
        if match["name"]:
            month = _MONTHS.index(match["name"]) + 1
            years = {span.begin.year, span.end.year}
            rest = f"{month:02}-{match['date']}T{match['h']}:{match['m']}:{match['s']}+00:00"
            moments = [datetime.fromisoformat(f"{year}-{rest}") for year in years]
            length = timedelta(seconds=1)
        else:
            clock = ":".join(match[key] or "00" for key in ("hour", "minute", "second"))
            day = "-".join(match[key] for key in ("year", "month", "day"))
            moments = [datetime.fromisoformat(f"{day}T{clock}+00:00")]
            length = timedelta(days=1)
            if match["hour"]:
                length = timedelta(seconds=1) if match["second"] else timedelta(minutes=1)
    except ValueError:  # month 13, 30 February
        return False
    return any(span.holds(moment, moment + length, is_local=True) for moment in moments)


class Marked(NamedTuple):
    """A name with ``<time>`` and ``<id>`` in place of the parts that differ in every run, and these parts in order."""

    form: str
    parts: tuple[str, ...]


def mark(name: str, span: Span | None) -> Marked:
    """Mark the times in a name that lie within the run, and the random ids in the folders of experiment trackers."""
    parts: list[str] = []

    def note(text: str, replacement: str) -> str:
        parts.append(text)
        return replacement

    if re.search(_TRACKERS, name):
        name = re.sub(_IDS, lambda match: note(match[0], "<id>"), name)
    if span is not None:
        name = re.sub(
            _TIMES,
            lambda match: note(match[0], "<time>") if _is_within(match, span) else match[0],
            name,
        )
    return Marked(name, tuple(parts))


class Match(NamedTuple):
    """An output of each side that differ in name only by parts that differ in every run."""

    left: str
    right: str
    replacements: tuple[Replacement, ...]


def match_names(
    ours: Iterable[str], theirs: Iterable[str], spans: Sequence[Span | None]
) -> Iterator[Match]:
    """Yield the matches between the names that only one side has.

    If several names of a side have the same form, they are matched in their order if both sides have equally many.
    """
    forms: tuple[dict[str, list[tuple[str, Marked]]], ...] = ({}, {})
    for names, span, grouped in zip((ours, theirs), spans, forms, strict=True):
        for name in sorted(names):
            marked = mark(name, span)
            if marked.parts:
                grouped.setdefault(marked.form, []).append((name, marked))
    for form, lefts in forms[0].items():
        rights = forms[1].get(form, [])
        if len(lefts) != len(rights):
            continue
        for (name, marked), (other, its) in zip(lefts, rights, strict=True):
            pairs = zip(marked.parts, its.parts, strict=True)
            yield Match(
                name, other, tuple(Replacement(new, old) for old, new in pairs if old != new)
            )
