"""A replay as JUnit XML, which CI systems show: a suite for the replay, a test case for each item of the verdict."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from ...compare.items import Item, Verification
from ...compare.wording import describe_difference
from ...records import Record
from ...replay.replay import Replay

_WRONG = ("different", "missing", "extra")
# What XML 1.0 cannot say, not even escaped.
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_of(done: Replay) -> bytes:
    """The file's bytes: failures are items that are different, missing or extra.

    What is opaque, and the console, is skipped. A replay that failed, or that verified nothing, has an error of its
    own, so that it is never a success; one of a changed config is skipped.
    """
    suite = _Suite(done.original, f"replay of run {done.original.number}", done.record.duration_s)
    suite.property("run", str(done.original.number))
    suite.property("replay", str(done.record.number))
    verification: Verification | None = done.verification
    if verification is None:
        suite.case("replay", "verdict").skip("the config was changed: no verdict")
        return suite.write()
    suite.property("verdict", verification.verdict)
    for item in verification.items:
        _add_item(suite, item)
    case = suite.case("replay", "verdict")
    if verification.verdict in ("failed", "nothing verified"):
        case.fault("error", f"{verification.verdict}: {verification.reason}")
    return suite.write()


def junit_of_error(record: Record, message: str) -> bytes:
    """The same of a replay that could not be done."""
    suite = _Suite(record, f"replay of run {record.number}", None)
    suite.case("replay", "verdict").fault("error", message)
    return suite.write()


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
    """A test case, and the suite in which it is counted."""

    def __init__(self, suite: _Suite, element: ET.Element) -> None:
        self._suite = suite
        self._element = element

    def skip(self, message: str) -> None:
        self._suite.count("skipped")
        ET.SubElement(self._element, "skipped", message=_clean(message))

    def fault(self, kind: str, message: str, text: str = "") -> None:
        """A ``failure`` or an ``error``."""
        self._suite.count(f"{kind}s")
        found = ET.SubElement(self._element, kind, message=_clean(message), type=kind)
        found.text = _clean(text or message)


class _Suite:
    def __init__(self, record: Record, name: str, duration_s: float | None) -> None:
        self._counts = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
        self._experiment = record.experiment
        self._root = ET.Element("testsuites")
        title = _clean(f"{name} ({record.experiment})")
        self._suite = ET.SubElement(
            self._root, "testsuite", name=title, time=f"{duration_s or 0:.3f}"
        )
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
        self._counts[what] += 1

    def write(self) -> bytes:
        for name, count in self._counts.items():
            self._suite.set(name, str(count))
            self._root.set(name, str(count))
        ET.indent(self._root)
        data: bytes = ET.tostring(self._root, encoding="utf-8", xml_declaration=True)
        return data + b"\n"


def _clean(text: str) -> str:
    return _NO_XML.sub("\ufffd", text)
