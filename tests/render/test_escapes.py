"""Text of a record in a terminal: whatever a record from elsewhere contains, it moves no cursor and hides nothing."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from project import Project

from recorder.compare.diff import diff
from recorder.compare.direction import Directions
from recorder.compare.groups import group
from recorder.compare.variation import compare_runs
from recorder.errors import RecorderError
from recorder.records import Record
from recorder.render.differences.diff import describe_diff
from recorder.render.differences.variation import describe_variation
from recorder.render.runs.groups import groups_table
from recorder.render.runs.record import describe_record
from recorder.render.runs.runs import runs_table
from recorder.store.query.fields import parse_key
from recorder.store.store import RunStore

# A window title, a cleared screen, a bidirectional override, line breaks, and a C1 control sequence.
HOSTILE = "\x1b]0;title\x07\x1b[2J\u202e\rabc\n\x9b31m"
SCRIPT = """
    import sys, time
    from pathlib import Path
    from recorder import record, log, save

    @record(tags=["paper"], tolerance={"loss": 0.1})
    def f(x, name="a", nested={"key": "value"}, password="hunter2222"):
        print("hello"); print("error", file=sys.stderr)
        Path("data.txt").read_text()
        log(loss=time.time())
        Path("out.txt").write_text("1"); save("out.txt"); save({"a": "b"}, name="value")
        if x == 3:
            raise ValueError("three")
        return {"key": "value"}

    f(1)
    try:
        f(3)
    except ValueError:
        pass
    f(2, name="b", nested={"key": "other"})
"""


@pytest.fixture
def store(project: Project) -> RunStore:
    """Return a store with a run that finished, one that failed, and a replay."""
    project.write("data.txt", "data")
    project.write("f.py", SCRIPT)
    project.commit()
    project.python("f.py")
    project.recorder("replay", "1", "--secret", "password=hunter2222", status=None)
    project.recorder("note", "1", "a note")
    return RunStore(project.root)


def hostile_documents(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the document with one of its strings, or of its keys, made hostile."""

    def paths(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
        if isinstance(value, dict):
            for key, inner in value.items():
                yield (*path, key)
                yield from paths(inner, (*path, key))
        elif isinstance(value, list | tuple):
            for place, inner in enumerate(value):
                yield from paths(inner, (*path, place))
        elif isinstance(value, str):
            yield (*path, "")

    for path in dict.fromkeys(paths(document, ())):
        changed = copy.deepcopy(document)
        *way, last = path
        target = changed
        for part in way[:-1] if last == "" else way:
            target = target[part]
        if last == "":
            target[way[-1]] += HOSTILE
        elif isinstance(last, str) and not last.startswith("$"):
            target[last + HOSTILE] = target.pop(last)
        yield "/".join(map(str, path)), changed


def shown(record: Record, other: Record, store: RunStore) -> Iterator[str]:
    """Yield the record as `show`, `list`, `list --columns`, `list --group-by` and `diff` print it."""
    yield describe_record(record, store)
    yield runs_table([record, other], graded=True)
    names = [f"config.{key}" for key in record.config]
    yield runs_table(
        [record, other], names=[*names, "tags", "note", "commit", "branch", "host", "error"]
    )
    yield groups_table(group([record, other], [parse_key(name) for name in names]), names)
    found = diff(
        other, record, store.objects, files=store.snapshots.files, directions=Directions((), ())
    )
    yield describe_diff(found)
    varying = compare_runs([record, other, record], store.objects, files=store.snapshots.files)
    yield describe_variation(varying)


@pytest.mark.parametrize("number", [1, 2, 4])
def test_no_string_of_a_record_controls_the_terminal(store: RunStore, number: int) -> None:
    """Whichever string or key of a record is hostile, what is printed has only printable characters and colors."""
    other = store.get(3)
    document = msgspec.json.decode(msgspec.json.encode(store.get(number).to_document()))
    tried = 0
    for path, changed in hostile_documents(document):
        try:
            record = Record.from_document(changed)
        except msgspec.ValidationError:
            continue  # a time, or one of a few words: a store refuses the record
        tried += 1
        texts = shown(record, other, store)
        while True:
            try:
                text = next(texts, None)
            except (RecorderError, KeyError, ValueError):
                break  # the command line prints one line, see `recorder.cli.run_command`
            if text is None:
                break
            plain = re.sub(r"\x1b\[[0-9;]*m", "", text).replace("\n", "")
            assert plain.isprintable(), (path, [one for one in plain if not one.isprintable()])
    assert tried > 60
