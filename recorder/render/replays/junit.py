"""Replays as JUnit XML for CI systems: a test suite for each replay, a test case for each item."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from ...compare.items import Item, Verification
from ...compare.wording import describe_difference
from ...records import Record
from ...replay.replay import ReplayResult

if TYPE_CHECKING:
    from ...replay.many.many import Many
    from ...replay.many.repetition import Repetition

_COUNTED = ("tests", "failures", "errors", "skipped")
_WRONG = ("different", "missing", "extra")
# Characters that XML 1.0 cannot contain, not even escaped (https://www.w3.org/TR/xml/#charsets).
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_of(done: ReplayResult) -> bytes:
    """Return the XML of one replay.

    Items that are different, missing or extra are failures. Opaque items and the console are skipped. A replay that
    failed or verified nothing has an error, so that it is never a success; one with a changed config is skipped.
    """
    document = _Document()
    _add_replay(document, done.original, done.record, done.verification)
    return document.write()


def junit_of_error(record: Record | None, message: str) -> bytes:
    """Return the XML of a replay that could not be done; `record` is None for a batch."""
    document = _Document()
    _add_error(document, record, message)
    return document.write()


def junit_of_repetition(done: Repetition) -> bytes:
    """Return a suite for each replay, and one whose test fails if the replays differ from each other."""
    document = _Document()
    for one in done.replays:
        _add_replay(document, one.original, one.record, one.verification)
    original = done.replays[0].original
    suite = _Suite(document, original, f"replays of run {original.number} against each other", None)
    case = suite.case("replay", "determinism")
    if done.is_deterministic is None:
        case.skip(done.sentence)
    elif done.varying:
        case.fault("failure", done.sentence)
    return document.write()


def junit_of_many(done: Many) -> bytes:
    """Return a suite for each run, and an error if there are none or some were not started."""
    document = _Document()
    for one in done.outcomes:
        if one.record is None:
            _add_error(document, one.original, one.error or one.verdict)
        else:
            _add_replay(document, one.original, one.record, one.verification)
    if done.interrupted or not done.outcomes:
        message = (
            f"interrupted, {done.not_begun} not started" if done.interrupted else "no run to replay"
        )
        suite = _Suite(document, None, "replays", None)
        suite.case("replay", "all").fault("error", message)
    return document.write()


def _add_replay(
    document: _Document, original: Record, record: Record, verification: Verification | None
) -> None:
    suite = _Suite(document, original, f"replay of run {original.number}", record.duration_s)
    suite.property("run", str(original.number))
    suite.property("replay", str(record.number))
    if verification is None:
        case = suite.case("replay", "verdict")
        if record.status == "finished":
            case.skip("no verdict: the config was changed")
        else:
            case.fault("error", f"the replay ended as {record.status}")
        return
    suite.property("verdict", verification.verdict)
    for item in verification.items:
        _add_item(suite, item)
    case = suite.case("replay", "verdict")
    if verification.verdict in ("failed", "nothing verified"):
        case.fault("error", f"{verification.verdict}: {verification.reason}")


def _add_error(document: _Document, record: Record | None, message: str) -> None:
    name = "replays" if record is None else f"replay of run {record.number}"
    suite = _Suite(document, record, name, None)
    suite.case("replay", "verdict").fault("error", message)


def _add_item(suite: _Suite, item: Item) -> None:
    case = suite.case(item.kind, item.name)
    if not item.decides:
        case.skip(f"{item.verdict}, reported only; {item.detail}".rstrip("; "))
    elif item.verdict == "opaque":
        case.skip(f"opaque: {item.detail}".rstrip(": "))
    elif item.verdict in _WRONG:
        lines = [describe_difference(difference) for difference in item.differences]
        case.fault("failure", f"{item.verdict}: {item.detail}".rstrip(": "), "\n".join(lines))


class _Case:
    """A test case, counted in its suite."""

    def __init__(self, suite: _Suite, element: ET.Element) -> None:
        self._suite = suite
        self._element = element

    def skip(self, message: str) -> None:
        self._suite.count("skipped")
        ET.SubElement(self._element, "skipped", message=_clean(message))

    def fault(self, kind: str, message: str, text: str = "") -> None:
        """Add a ``failure`` or an ``error``."""
        self._suite.count(f"{kind}s")
        found = ET.SubElement(self._element, kind, message=_clean(message), type=kind)
        found.text = _clean(text or message)


class _Document:
    """The file: its suites, and the total number of cases by result."""

    def __init__(self) -> None:
        self.root = ET.Element("testsuites")
        self.counts = dict.fromkeys(_COUNTED, 0)

    def write(self) -> bytes:
        self.root.attrib.update({name: str(count) for name, count in self.counts.items()})
        ET.indent(self.root)
        data: bytes = ET.tostring(self.root, encoding="utf-8", xml_declaration=True)
        return data + b"\n"


class _Suite:
    """A test suite for the replay of one run, or for all of them if `record` is None."""

    def __init__(
        self, document: _Document, record: Record | None, name: str, duration_s: float | None
    ) -> None:
        self._document = document
        self._experiment = "recorder" if record is None else record.experiment
        title = name if record is None else f"{name} ({record.experiment})"
        self._suite = ET.SubElement(
            document.root, "testsuite", name=_clean(title), time=f"{duration_s or 0:.3f}"
        )
        self._suite.attrib.update(dict.fromkeys(_COUNTED, "0"))
        self._properties = ET.SubElement(self._suite, "properties")

    def property(self, name: str, value: str) -> None:
        ET.SubElement(self._properties, "property", name=name, value=_clean(value))

    def case(self, kind: str, name: str) -> _Case:
        self.count("tests")
        place = _clean(f"{self._experiment}.{kind}")
        element = ET.SubElement(
            self._suite, "testcase", classname=place, name=_clean(name), time="0"
        )
        return _Case(self, element)

    def count(self, what: str) -> None:
        self._document.counts[what] += 1
        self._suite.set(what, str(int(self._suite.attrib[what]) + 1))


def _clean(text: str) -> str:
    return _NO_XML.sub("\ufffd", text)
