"""Tests of export and import: runs arrive complete, and anything that is not an export is refused."""

from __future__ import annotations

import json
import shutil
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from project import Project
from stores import begin

from recorder.digest import digest_bytes
from recorder.errors import RunInUseError, TransferError
from recorder.records import Record
from recorder.store.archive.transfer import Imported, export_runs, import_runs, open_source
from recorder.store.journal.lines import make_line
from recorder.store.maintenance.check import check
from recorder.store.objects.trees import TreeEntry, write_entries
from recorder.store.signature import is_trusted, standing
from recorder.store.store import RunStore

SCRIPT = """
import os, sys
from pathlib import Path
from recorder import record, save, log

class Thing:
    def __init__(self, n): self.n = n

@record
def train(n=1, big=tuple(range(3000)), seed=0):
    Path("out/sub").mkdir(parents=True, exist_ok=True)
    Path("out/sub/a").write_text(f"a {n}" * 1000)
    save("out")
    Path("m.bin").write_bytes(bytes(range(256)) * 40)
    save("m.bin")
    save(Thing(n), name="thing")
    log(loss=n)
    print("y" * 5000)
    return n

if __name__ == "__main__":
    train(int(sys.argv[1]))
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project with two runs and an export of them."""
    root = tmp_path_factory.mktemp("made") / "project"
    root.mkdir()
    project = Project(root)
    project.write("train.py", SCRIPT)
    project.commit()
    project.python("train.py", "1")
    project.write("train.py", SCRIPT + "# changed\n")
    project.python("train.py", "2")
    project.recorder("export", "--all", "../both.zip")
    return root


@pytest.fixture
def archive(made: Path) -> Path:
    """Return the export."""
    return made.parent / "both.zip"


@pytest.fixture
def other(tmp_path: Path) -> RunStore:
    """Return an empty store of another user."""
    store = RunStore(tmp_path / "other" / ".recorder", create=True)
    assert len(store) == 0
    return store


def bring(store: RunStore, path: Path, **options: Any) -> Imported:
    """Import the runs at `path`."""
    with open_source(path, **options) as source:
        return import_runs(store, source)


def everything(store: RunStore) -> list[str]:
    """Return the names of all files in the store except locks."""
    return sorted(
        path.relative_to(store.path).as_posix()
        for path in store.path.rglob("*")
        if path.is_file() and "lock" not in path.name and path.suffix != ".gate"
    )


def test_runs_arrive_whole(made: Path, archive: Path, other: RunStore) -> None:
    """Imported records equal the exported ones except for number and origin, and all of their objects exist."""
    origin = RunStore(made)
    done = bring(other, archive)
    assert [record.number for record in done.records] == [1, 2] and not done.present
    for mine, theirs in zip(origin.runs(), other.runs(), strict=True):
        assert theirs.origin == origin.id
        assert msgspec.structs.replace(theirs, origin=None) == mine
    assert list(check(RunStore(other.path))) == []
    again = bring(other, archive)
    assert again.records == () and len(again.present) == 2
    assert list((other.path / "staging").iterdir()) == []
    assert list((other.path / "live").iterdir()) == []


def test_from_another_store_and_back_home(made: Path, tmp_path: Path, other: RunStore) -> None:
    """A store folder is a source too; numbers are assigned anew; a run that returns home has no origin."""
    begin(other)[1].close(keep=True)
    done = bring(other, made)
    assert [(record.number, record.experiment) for record in done.records] == [
        (2, "train"),
        (3, "train"),
    ]
    shutil.copytree(made, tmp_path / "copy")
    home = RunStore(tmp_path / "copy")
    home.remove([2])
    assert bring(home, made).in_trash == (home.trash()[0].id,)
    home.journal.table("trash").truncate()
    export_runs(other, [other.get(3)], tmp_path / "one.zip")
    (back,) = bring(home, tmp_path / "one.zip").records
    assert (back.number, back.origin) == (3, None) and standing(back) == "own"


def test_the_same_runs_make_the_same_file(made: Path, tmp_path: Path) -> None:
    """Two exports of the same runs are equal byte for byte."""
    store = RunStore(made)
    for name in ("a.zip", "b.zip"):
        export_runs(store, store.runs(), tmp_path / name)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with pytest.raises(FileExistsError):
        export_runs(store, store.runs(), tmp_path / "a.zip")
    export_runs(store, store.runs()[:1], tmp_path / "a.zip", overwrite=True)
    assert {path.name for path in tmp_path.iterdir()} == {"a.zip", "b.zip"}


def test_what_cannot_be_exported(made: Path, tmp_path: Path) -> None:
    """Exporting a running, killed or incomplete run raises an error and leaves no file."""
    shutil.copytree(made, tmp_path / "copy")
    store = RunStore(tmp_path / "copy")
    _, live = begin(store)
    with pytest.raises(RunInUseError):
        export_runs(store, [store.get(3)], tmp_path / "x.zip")
    live.close(keep=True)
    with pytest.raises(TransferError, match="--repair"):
        export_runs(store, [store.get(3)], tmp_path / "x.zip")
    output = next(o for o in store.get(1).outputs if o.name == "m.bin")
    path = store.objects.path(output.digest)
    path.chmod(0o644)
    path.write_bytes(b"damaged")
    with pytest.raises(ValueError, match="damaged"):
        export_runs(store, store.runs()[:1], tmp_path / "x.zip")
    path.unlink()
    with pytest.raises(TransferError, match=r"m\.bin"):
        export_runs(store, store.runs()[:1], tmp_path / "x.zip")
    assert [p.name for p in tmp_path.iterdir()] == ["copy"]


def test_foreign_code_is_not_run_unasked(made: Path, archive: Path, tmp_path: Path) -> None:
    """Listing, showing and diffing a foreign run import and unpickle nothing; replaying it needs --trust once."""
    (tmp_path / "else").mkdir()
    project = Project(tmp_path / "else")
    project.env["RECORDER_KEY_FILE"] = str(tmp_path / "key")
    assert project.recorder("import", str(archive)).stdout == "imported: runs 1-2\n"
    poison = "raise SystemExit('the code was imported')"
    project.write("train.py", poison)
    for command in (["list"], ["show", "1"], ["show", "2", "--json"], ["diff", "1", "2"]):
        done = project.recorder(*command, status=1 if command[0] == "diff" else 0)
        assert "imported" not in done.stderr
    refused = project.recorder("replay", "1", status=3)
    assert "another store" in refused.stderr and "--trust" in refused.stderr
    assert len(RunStore(project.root)) == 2
    done = project.recorder("replay", "1", "--trust")
    assert "trusted from now on: runs 1-2" in done.stderr
    project.recorder("replay", "2")


def test_a_foreign_stores_repository_runs_nothing(made: Path, tmp_path: Path) -> None:
    """Whatever the git configuration of a foreign store contains, reading and recording in it execute none of it."""
    shutil.copytree(made, tmp_path / "copy")
    project = Project(tmp_path / "copy")
    witness, git = tmp_path / "witness", project.root / ".recorder" / "code.git"
    evil = tmp_path / "evil.sh"
    evil.write_text(f"#!/bin/sh\necho ran >> {witness}\n")
    evil.chmod(0o755)
    (git / "hooks").mkdir(exist_ok=True)
    for hook in ("reference-transaction", "post-index-change"):
        shutil.copy(evil, git / "hooks" / hook)
    with (git / "config").open("a") as file:
        file.write(
            f"[core]\n\tfsmonitor = {evil}\n\trepositoryformatversion = 1\n"
            "[extensions]\n\tpartialClone = evil\n"
            f'[remote "evil"]\n\tpromisor = true\n\turl = ext::{evil} %S\n'
            '[protocol "ext"]\n\tallow = always\n'
            f'[filter "evil"]\n\tclean = {evil}\n\tsmudge = {evil}\n\tprocess = {evil}\n'
        )
    (git / "info" / "attributes").write_text("* filter=evil\n")
    (git / "objects" / "info").mkdir(exist_ok=True)
    (git / "objects" / "info" / "alternates").write_text(str(tmp_path / "elsewhere") + "\n")
    project.recorder("check", status=1)
    assert "evil" in (git / "config").read_text()  # a check changes nothing
    restored = project.recorder("restore", "1", "--code", "--to", str(tmp_path / "laid"))
    assert "have been restored" in restored.stderr and (tmp_path / "laid" / "train.py").exists()
    assert "evil" not in (git / "config").read_text()
    for path in (git / "objects").glob("??/*"):
        path.unlink()  # so that git would try to fetch them
    project.recorder("list")
    project.recorder("show", "1")
    project.recorder("diff", "1", "2", status=None)
    project.recorder("check", status=1)
    project.write("train.py", SCRIPT + "# once more\n")
    project.python("train.py", "3")
    assert not witness.exists()


def test_ones_own_runs_need_no_trust(archive: Path, tmp_path: Path) -> None:
    """A run that this user recorded in another store is still trusted, by its signature."""
    (tmp_path / "else").mkdir()
    project = Project(tmp_path / "else")
    project.recorder("import", str(archive))
    project.recorder("replay", "1")


# Invalid archives


def rewritten(
    archive: Path, path: Path, change: Callable[[dict[str, bytes]], None], **extra: bytes
) -> Path:
    """Return a copy of the archive with entries modified by `change`."""
    with zipfile.ZipFile(archive) as file:
        entries = {name: file.read(name) for name in file.namelist()}
    change(entries)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name, data in entries.items():
            out.writestr(name, data)
    return path


def with_records(change: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, bytes]], None]:
    """Return a change of every record."""

    def apply(entries: dict[str, bytes]) -> None:
        lines = []
        for line in entries["runs.jsonl"].splitlines():
            document = json.loads(line)["doc"]
            change(document)
            lines.append(make_line("runs", document["number"], document))
        entries["runs.jsonl"] = b"".join(lines)

    return apply


def first_object(entries: dict[str, bytes]) -> str:
    return next(name for name in entries if name.startswith("objects/"))


def set_entry(name: str, data: bytes) -> Callable[[dict[str, bytes]], None]:
    return lambda entries: entries.__setitem__(name, data)


def alter_object(entries: dict[str, bytes]) -> None:
    entries[first_object(entries)] += b"x"


def drop_object(entries: dict[str, bytes]) -> None:
    del entries[first_object(entries)]


def alter_pack(entries: dict[str, bytes]) -> None:
    data = bytearray(entries["code.pack"])
    data[len(data) // 2] ^= 1
    entries["code.pack"] = bytes(data)


def with_tree(entry: TreeEntry) -> Callable[[dict[str, bytes]], None]:
    """Return a change that replaces the tree of the saved folder by one with this entry, digests included."""

    def apply(entries: dict[str, bytes]) -> None:
        data = write_entries([entry])
        digest = digest_bytes(data)
        hexes = digest.removeprefix("blake3:")
        entries[f"objects/{hexes[:2]}/{hexes[2:]}"] = data

        def change(document: dict[str, Any]) -> None:
            for output in document["outputs"]:
                if output["kind"] == "folder":
                    output["digest"] = digest

        with_records(change)(entries)

    return apply


def set_field(*path: Any, value: Any) -> Callable[[dict[str, bytes]], None]:
    def change(document: dict[str, Any]) -> None:
        place: Any = document
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value

    return with_records(change)


def no_pack(entries: dict[str, bytes]) -> None:
    del entries["code.pack"]


REFUSED: dict[str, tuple[Callable[[dict[str, bytes]], None], str]] = {
    "absolute": (set_entry("/etc/passwd", b"x"), "an export never does"),
    "parent": (set_entry("../evil", b"x"), "an export never does"),
    "objects parent": (set_entry("objects/../../evil", b"x"), "an export never does"),
    "backslash": (set_entry("objects\\..\\evil", b"x"), "an export never does"),
    "other file": (set_entry("train.py", b"x"), "an export never does"),
    "no manifest": (lambda e: e.pop("recorder-export.json") and None, "lacks the recorder-export.json"),
    "bad manifest": (set_entry("recorder-export.json", b"[]"), "is invalid"),
    "newer": (
        set_entry("recorder-export.json", b'{"kind": "recorder export", "format": 9, "store": "abcdefghijkmnpqrstvw"}'),
        "format 9",
    ),
    "bytes": (alter_object, "does not match its digest|bytes"),
    "missing": (drop_object, "missing"),
    "no code": (no_pack, "code snapshot .* is missing"),
    "pack": (alter_pack, "code snapshots cannot be read"),
    "torn record": (lambda e: e.__setitem__("runs.jsonl", e["runs.jsonl"][:-9]), "is not a record"),
    "no record": (set_entry("runs.jsonl", make_line("runs", 1, {"id": 5})), "is not a record"),
    "running": (set_field("status", value="running"), "still running"),
    "id": (set_field("id", value="../../../x"), "id of run"),
    "input path": (
        set_field("inputs", value=[{"path": "../x", "digest": "blake3:" + "0" * 64, "size_bytes": 1, "in_root": True}]),
        "leads out of its folder",
    ),
    "cwd": (set_field("process", "cwd_in_root", value="../../.."), "leads out of its folder"),
    "function file": (set_field("function", "file", value="/etc/x.py"), "leads out of its folder"),
    "output name": (set_field("outputs", 0, "name", value="../../x"), "leads out of its folder"),
    "snapshot": (set_field("code", "snapshot", value="--upload-pack=evil"), "invalid snapshot"),
    "project's snapshot": (
        set_field("code", "projects", value=[{"name": "p", "root": "/p", "snapshot": "--output=evil"}]),
        "invalid snapshot",
    ),
    "no digest": (set_field("environment", value="../../x"), "invalid digest"),
    "size": (set_field("outputs", 0, "size_bytes", value=7), "its record states 7"),
    "tree out": (
        with_tree(TreeEntry(path="../x", kind="file", digest="blake3:" + "0" * 64)), "is not a tree",
    ),
    "tree link": (with_tree(TreeEntry(path="x", kind="link", target="../../etc")), "leads out"),
    "tree absolute link": (with_tree(TreeEntry(path="x", kind="link", target="/etc")), "leads out"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_export_is_refused(
    name: str, archive: Path, tmp_path: Path, other: RunStore
) -> None:
    """An invalid archive is refused with a reason, and nothing is written."""
    change, reason = REFUSED[name]
    path = rewritten(archive, tmp_path / "bad.zip", change)
    before = everything(other)
    with pytest.raises(TransferError, match=reason):
        bring(other, path)
    assert everything(other) == before and len(other) == 0
    assert not (tmp_path / "evil").exists()
    bring(other, archive)
    assert list(check(RunStore(other.path))) == []


def test_links_and_bombs_are_refused(archive: Path, tmp_path: Path, other: RunStore) -> None:
    """Link entries, an archive that expands too much, and truncated or foreign files are refused."""
    path = tmp_path / "bad.zip"
    shutil.copy(archive, path)
    name = "objects/" + "0" * 2 + "/" + "0" * 62
    with zipfile.ZipFile(path, "a") as file:
        info = zipfile.ZipInfo(name)
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        file.writestr(info, "/etc/passwd")
    with pytest.raises(TransferError, match="a link"):
        bring(other, path)
    shutil.copy(archive, path)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as file, file.open(name, "w") as entry:
        for _ in range(65):
            entry.write(b"\0" * (1 << 20))
    with pytest.raises(TransferError, match="--max-bytes"):
        bring(other, path, most_bytes=1 << 26)
    path.write_bytes(archive.read_bytes()[:-300])
    with pytest.raises(TransferError, match="as a zip file"):
        bring(other, path)
    path.write_text("hello")
    with pytest.raises(TransferError, match="as a zip file"):
        bring(other, path)
    assert len(other) == 0
    assert list((other.path / "staging").iterdir()) == []


def test_objects_that_no_run_wants_stay_out(archive: Path, tmp_path: Path, other: RunStore) -> None:
    """An object in an archive that no record refers to is not imported."""
    data = b"smuggled"
    hexes = digest_bytes(data).removeprefix("blake3:")
    path = rewritten(
        archive, tmp_path / "x.zip", set_entry(f"objects/{hexes[:2]}/{hexes[2:]}", data)
    )
    bring(other, path)
    assert not other.objects.has(digest_bytes(data)) and len(other) == 2


def test_a_tampered_record_is_noticed(
    made: Path, archive: Path, tmp_path: Path, other: RunStore
) -> None:
    """A changed record, in an archive or in the store, is no longer trusted, and a check reports it."""
    path = rewritten(archive, tmp_path / "x.zip", set_field("config", "n", value=66))
    done = bring(other, path)
    assert [standing(record) for record in done.records] == ["changed", "changed"]
    shutil.copytree(made, tmp_path / "copy")
    store = RunStore(tmp_path / "copy")
    assert all(is_trusted(record) for record in store)
    document = dict(store.journal.table("runs").get(doc_id=1) or {})
    document["config"] = {**document["config"], "n": 99}
    store.journal.table("runs").put(1, document)
    assert standing(store.get(1)) == "changed"
    findings = list(check(RunStore(store.path)))
    assert [(f.kind, f.runs) for f in findings] == [("changed record", (1,))]
    project = Project(tmp_path / "copy")
    assert "was changed after you signed it" in project.recorder("replay", "1", status=3).stderr
    store.annotate(1, note="harmless")  # annotating does not sign it again
    assert standing(store.get(1)) == "changed"
    assert store.trust(store.get(1)) == [1] and is_trusted(store.get(1))


def test_who_may_sign(tmp_path: Path, other: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records of another key are foreign, and unsigned ones are not trusted if there is a key."""
    record, live = begin(other)
    other.finish(msgspec.structs.replace(record, status="finished"))
    live.close()
    assert standing(other.get(1)) == "own"
    monkeypatch.setenv("RECORDER_KEY_FILE", str(tmp_path / "another"))
    assert standing(other.get(1)) == "foreign"
    unsigned: Record = msgspec.structs.replace(other.get(1), signature=None)
    assert standing(unsigned) == "unsigned" and not is_trusted(unsigned)
    other.trust(other.get(1))
    assert standing(other.get(1)) == "own"
