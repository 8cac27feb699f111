"""Tests for hazards in real runs, and for the replay grade."""

from __future__ import annotations

import json
import os
import random
import secrets
import socket
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from project import ROOT, Project

from recorder.capture.files.audit_hook import Watch, watch_inputs
from recorder.capture.hazards.observed import unwatch_hazards, watch_hazards
from recorder.capture.hazards.static import suspects_in
from recorder.capture.seeding import entropy
from recorder.capture.seeding.seed import plant
from recorder.hazards import KINDS, all_hazards, grade
from recorder.records import Function, Hazard, Input, Record, Redacted, new_id

# A reserved address (RFC 5737): a datagram socket connects to it without sending a packet.
NOWHERE = ("192.0.2.1", 9)


@pytest.fixture
def watch() -> Iterator[Watch]:
    """A watch that observes hazards and ends with the test."""
    found = watch_inputs()
    watch_hazards()
    yield found
    found.stop()
    unwatch_hazards()


def kinds(watch: Watch) -> list[tuple[str, str]]:
    """Return kind and detail of the observed hazards."""
    return [(kind, detail) for kind, _, detail in watch.hazards]


def suspects(folder: Path, text: str) -> list[tuple[str, int]]:
    """Return kind and line of the suspects in a source."""
    file = folder / f"{new_id()}.py"
    file.write_text(text)
    return [(one.kind, one.line) for one in suspects_in(str(file))]


def hazards(project: Project, run: int = 1) -> dict[str, list[dict[str, Any]]]:
    """Return the hazards of a run by kind, except threads, which depend on the machine."""
    found: dict[str, list[dict[str, Any]]] = {}
    for one in project.show(run)["hazards"]:
        if one["kind"] != "threads":
            found.setdefault(one["kind"], []).append(one)
    return found


RUN = """
from recorder import record
{before}

@record({options})
def work(a: int = 1):
{body}

if __name__ == "__main__":
    work()
"""


def write(project: Project, body: str, *, before: str = "", options: str = "") -> None:
    """Write an experiment with this body to exp.py."""
    lines = "\n".join(f"    {line}" for line in body.strip().splitlines())
    project.write("exp.py", RUN.format(before=before, options=options, body=lines))


def test_a_plain_run_has_none(project: Project) -> None:
    """A run without hazards is replayable, and its replay names no causes."""
    write(project, "return [a, sorted({'x', 'y'}), len({'x'}), [n for n in {1, 2}]]")
    project.python("exp.py")
    assert hazards(project) == {}
    assert "work  finished  replayable\n" in project.recorder("show", "1").stdout
    done = project.recorder("replay", "1")
    assert "may" not in done.stdout + done.stderr


def test_connections(project: Project) -> None:
    """A connection to another machine is noted once with its line, and one to this machine is only a note."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        body = f"""
for _ in range(3):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as away:
        away.connect({NOWHERE})
socket.create_connection(("127.0.0.1", {port})).close()
return a
"""
        write(project, body, before="import socket")
        project.python("exp.py")
    assert hazards(project) == {
        "network": [{"kind": "network", "place": "exp.py:9", "detail": "192.0.2.1:9"}],
        "local connection": [
            {"kind": "local connection", "place": "exp.py:10", "detail": f"127.0.0.1:{port}"}
        ],
    }
    shown = project.recorder("show", "1").stdout
    assert "finished  replayable with care" in shown
    assert "network: 192.0.2.1:9 (exp.py:9)" in shown and KINDS["network"].meaning in shown


def test_a_connection_by_a_library_has_the_projects_line(project: Project) -> None:
    """The place of a connection is the project's own line, even if a library makes the connection."""
    project.write(
        "fetch.py",
        """
        import http.client

        def fetch(port):
            connection = http.client.HTTPConnection("localhost", port, timeout=5)
            connection.request("GET", "/")
            return connection.getresponse().status
        """,
    )
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_answer, args=(server,))
        thread.start()
        port = server.getsockname()[1]
        write(project, f"return fetch({port})", before="from fetch import fetch")
        project.python("exp.py")
        thread.join()
    assert hazards(project)["local connection"][0]["place"] == "fetch.py:6"


def _answer(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(10_000)
        connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n")


def test_sockets_that_are_files_are_none(watch: Watch, tmp_path: Path) -> None:
    """A connection to a Unix socket is not a network connection."""
    name = os.path.relpath(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(name)
        server.listen()
        client.connect(name)
    assert not watch.hazards


def test_a_module_that_draws_for_itself_as_it_is_imported(watch: Watch) -> None:
    """Keys that an installed module draws during its import are ignored, but its later draws are noted."""
    import sysconfig
    import types

    module = types.ModuleType("drawing")
    source = "import uuid\ndef draw():\n    return uuid.uuid4()\nKEY = draw()\n"
    place = Path(sysconfig.get_paths()["purelib"]) / "drawing" / "__init__.py"
    planting = plant(0)
    try:
        exec(compile(source, str(place), "exec"), vars(module))
        assert kinds(watch) == []
        vars(module)["draw"]()
        assert kinds(watch) == [("entropy", "uuid.uuid4")]
    finally:
        planting.restore()


def test_entropy(watch: Watch) -> None:
    """Bytes from the operating system are observed through every function that returns them."""
    planting = plant(1)
    try:
        os.urandom(1)
        uuid.uuid4()
        secrets.token_hex()
        random.SystemRandom().random()
    finally:
        planting.restore()
    assert [kind for kind, _ in kinds(watch)] == ["entropy"] * 4
    assert [detail for _, detail in kinds(watch)][:2] == ["os.urandom", "uuid.uuid4"]
    assert all(place.startswith(__file__) for _, place, _ in watch.hazards)


def test_the_last_run_ends_the_watching() -> None:
    """Draws of entropy are observed until the last of several runs has ended."""
    for step, is_told in (
        (watch_hazards, True),
        (watch_hazards, True),
        (unwatch_hazards, True),
        (unwatch_hazards, False),
    ):
        step()
        assert (entropy.on_draw is not None) == is_told


def test_seeded_generators_are_none(watch: Watch) -> None:
    """Draws from planted generators, and temporary files, are not entropy."""
    random.random()
    import tempfile

    with tempfile.NamedTemporaryFile():
        random.Random(1).random()
    assert not watch.hazards


def test_workers_that_are_started_anew(project: Project) -> None:
    """Spawned workers of multiprocessing are child processes like forked ones, and files they write are found."""
    project.write("notes.txt", "before\n")
    body = """
with multiprocessing.get_context("spawn").Pool(1) as pool:
    pool.apply(os.truncate, ("notes.txt", 3))
with multiprocessing.get_context("forkserver").Pool(1) as pool:
    pool.apply(os.getpid)
"""
    write(project, body, before="import multiprocessing, os")
    project.commit()
    project.python("exp.py")
    found = hazards(project)["child process"]
    assert [one["place"] for one in found] == ["exp.py:7", "exp.py:9"]
    assert [one["name"] for one in project.show(1)["outputs"]] == ["notes.txt"]


def test_child_processes(project: Project) -> None:
    """A child process is noted by its program without arguments, and so is a fork."""
    body = """
subprocess.run([sys.executable, "-c", "", "hunter2hunter2"])
pid = os.fork()
if not pid:
    os._exit(0)
os.waitpid(pid, 0)
os.system("true hunter2hunter2")
"""
    write(project, body, before="import os, subprocess, sys")
    project.python("exp.py")
    found = hazards(project)["child process"]
    assert [one["place"] for one in found] == ["exp.py:7", "exp.py:8", "exp.py:12"]
    assert [one["detail"] for one in found][1:] == ["fork", "true"]
    assert "hunter2" not in json.dumps(found)


@pytest.mark.parametrize(
    "line",
    [
        "for x in {'a', b}: print(x)",
        "list(set(b))",
        "','.join(set(b) | c)",
        "[x for x in frozenset(b)]",
        "f'{set(b)}'",
        "print(*{x for x in b})",
        "for i, x in enumerate(set(b)): print(i, x)",
        "set(b).pop()",
        "s = set(b); t = s - c; list(t)",
        "list(b.keys() & c.keys())",
        "hash(b)",
    ],
)
def test_orders_of_sets(tmp_path: Path, line: str) -> None:
    """Iteration over a set of strings is a suspect, and so is hash()."""
    assert suspects(tmp_path, f"b = c = 'x'\n{line}\n") == [("hash order", 2)]


@pytest.mark.parametrize(
    "line",
    [
        "for x in sorted(set(b)): pass",
        "sorted(x for x in set(b))",
        "len(set(b)), 'a' in {'a', 'b'}, max(set(b))",
        "{x for x in set(b)}",
        "for x in {1, 2, -3}: pass",
        "list(set(range(9)))",
        "for x in {'a': 1}: pass",
        "s = set(b); s = sorted(s); list(s)",
        "class A:\n  def __hash__(self): return hash(('A', 1))",
        "def f(s: set[int]): return list(s)",
        "this is no Python",
    ],
)
def test_orders_that_are_none(tmp_path: Path, line: str) -> None:
    """Sorting, counting, membership tests, sets of numbers, and dicts are not suspects."""
    assert suspects(tmp_path, f"b = 'x'\n{line}\n") == []


def test_clocks(tmp_path: Path) -> None:
    """A clock reading is a clock hazard if it is returned, logged, or saved, directly or by name, and else a note."""
    text = """\
import time as t
from datetime import datetime
import recorder
def f():
    start = t.perf_counter()
    took = t.perf_counter() - start
    print(took)
    recorder.log(took=took)
    return {"when": datetime.now()}
"""
    found = suspects(tmp_path, text)
    assert {line for kind, line in found if kind == "clock"} == {8, 9}
    assert {line for kind, line in found if kind == "clock read"} == {5, 6, 9}


def test_a_hash_order_is_one_only_where_it_is_not_fixed(project: Project) -> None:
    """Set order is a hazard in every module of the project, unless PYTHONHASHSEED is set."""
    project.write("words.py", "def join(words):\n    return ' '.join(set(words))\n")
    write(project, "return join('a b c d'.split())", before="from words import join")
    project.python("exp.py", env={"PYTHONHASHSEED": "5"})
    project.python("exp.py")
    assert hazards(project, 1) == {}
    assert [one["place"] for one in hazards(project, 2)["hash order"]] == ["words.py:2"]
    listed = project.recorder("list", "--grade").stdout.splitlines()
    assert ["with care" in line for line in listed if " ms" in line] == [False, True]


def test_a_divergence_names_its_likely_causes(project: Project) -> None:
    """A note before the replay names what may differ, and a line after a divergence names likely causes."""
    write(project, "return uuid.uuid4().hex", before="import uuid")
    project.python("exp.py")
    done = project.recorder("replay", "1", status=1)
    assert "run 1 may diverge: entropy: uuid.uuid4 (exp.py:7)" in done.stderr
    assert done.stdout.endswith("may be due to: entropy: uuid.uuid4 (exp.py:7)\n")
    found = json.loads(project.recorder("replay", "1", "--json", status=1).stdout)
    assert found["causes"] == ["entropy: uuid.uuid4 (exp.py:7)"]


def test_opaque_values(project: Project) -> None:
    """An argument that cannot be encoded makes a run not replayable, and such a result is replayable with care."""
    write(project, "return Lock()", before="from threading import Lock")
    project.write("call.py", "import exp, threading\nexp.work(threading.Lock())\n")
    project.python("call.py")
    found = hazards(project)
    assert found["opaque argument"][0]["detail"] == "a" and "opaque value" in found
    assert "finished  not replayable" in project.recorder("show", "1").stdout


def test_strict_refuses_what_is_known_beforehand(project: Project) -> None:
    """strict=True refuses to start a run with known hazards, and the message names all of them with advice."""
    body = "print('started')\nreturn [list(set('ab')), time.time()]"
    write(project, body, before="import time", options="strict=True")
    done = project.python("exp.py", status=1)
    assert "started" not in done.stdout
    last = done.stderr.strip().splitlines()[-1]
    assert "HazardError" in last and "set('ab')" in last and "clock: time.time() (exp.py:8)" in last
    assert "PYTHONHASHSEED=0" in last
    assert project.recorder("list").stdout.startswith("no runs yet")


def test_strict_starts_and_replays_where_nothing_is_known(project: Project) -> None:
    """strict=True runs with a fixed PYTHONHASHSEED, and hazards observed later do not stop the run."""
    body = "os.urandom(1)\nreturn sorted(set('ab')), list(set('ab'))"
    write(project, body, before="import os", options="strict=True")
    project.python("exp.py", env={"PYTHONHASHSEED": "0"})
    assert list(hazards(project)) == ["entropy"]
    project.recorder("replay", "1")


def test_strict_refuses_a_function_by_value(project: Project) -> None:
    """strict=True treats a function pickled by value as a hazard."""
    text = "from recorder import record\ndef make():\n    @record(strict=True)\n    def inner(): pass\n    return inner\n"
    project.write("exp.py", text + "make()()\n")
    assert "function by value" in project.python("exp.py", status=1).stderr


def test_grades() -> None:
    """The grade depends on blockers, then on hazards that need care; notes do not count, and old records have none."""
    from datetime import datetime, timezone

    def of(**parts: Any) -> Record:
        function = parts.pop("function", Function(module="m", qualname="f"))
        now = datetime.now(timezone.utc)
        return Record(id=new_id(), experiment="f", function=function, started=now, **parts)

    assert grade(of()) == "replayable"
    assert grade(of(hazards=(Hazard(kind="threads"), Hazard(kind="clock read")))) == "replayable"
    assert grade(of(hazards=(Hazard(kind="network"),))) == "replayable with care"
    assert grade(of(hazards=(Hazard(kind="of a version to come"),))) == "replayable with care"
    assert grade(of(function=Function(module="m", qualname="f", file="m.py"))) == "not replayable"
    redacted = Redacted(place="config.token", marker="m", reason="r")
    assert grade(of(redacted=(redacted,))) == "replayable with care"
    for in_root, expected in ((True, "not replayable"), (False, "replayable with care")):
        lost = Input(path="x", digest="blake3:0", size_bytes=1, in_root=in_root)
        assert grade(of(inputs=(lost,))) == expected
        assert all_hazards(of(inputs=(lost,)))[0].detail == "x"


def test_every_kind_says_what_it_means() -> None:
    """Each kind has a weight, a meaning, and advice, and the guide lists all kinds."""
    guide = (ROOT / "recorder" / "guide" / "limits.md").read_text()
    for name, kind in KINDS.items():
        assert kind.meaning and kind.advice and f"*{name}*" in guide, name
