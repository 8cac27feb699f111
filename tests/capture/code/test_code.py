"""Tests for capturing code from real repositories: root, commit, and the files of a snapshot."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import time
from pathlib import Path

import pytest
from project import Project

from recorder.capture.code import file_filter, plain_tree
from recorder.capture.code.code import (
    describe_tree,
    find_root,
    forget,
    known_snapshot,
    remember_snapshot,
)
from recorder.capture.code.source import describe_source
from recorder.capture.code.working_tree import WorkingTree
from recorder.errors import SnapshotError
from recorder.records import Submodule
from recorder.secrets.urls import without_credentials
from recorder.store.snapshots import FileChange, Snapshots


@pytest.fixture(autouse=True)
def _forget(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start with empty caches and without the machine's git configuration."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", project.env["GIT_CONFIG_GLOBAL"])
    forget()


@pytest.fixture
def repository(project: Project) -> Project:
    """A repository with a committed file in the root and one in a folder."""
    project.write("a.py", "a = 1\n")
    project.write("pkg/b.py", "b = 1\n")
    project.commit()
    return project


@pytest.fixture
def snapshots(tmp_path: Path) -> Snapshots:
    """A store for snapshots."""
    (tmp_path / "store").mkdir()
    return Snapshots(tmp_path / "store" / "code.git")


def round_trip(root: Path, snapshots: Snapshots, dest: Path) -> set[str]:
    """Take a snapshot, extract it, compare it with the tree byte for byte, and return its paths."""
    tree = describe_tree(root)
    id = snapshots.take(tree.root, tree.files)
    snapshots.lay_out(id, dest)
    assert set(snapshots.files(id)) == set(tree.files)
    for name in tree.files:
        one, other = root / name, dest / name
        if one.is_symlink():
            assert os.readlink(one) == os.readlink(other)  # noqa: PTH115
        else:
            assert one.read_bytes() == other.read_bytes()
            assert os.access(one, os.X_OK) == os.access(other, os.X_OK)
            assert snapshots.read(id, name) == one.read_bytes()
    return set(tree.files)


def test_the_root(repository: Project, tmp_path: Path) -> None:
    """The root is the repository's top, or else the file's folder, its package's parent, or the working directory."""
    cwd = tmp_path / "cwd"
    assert find_root(repository.root / "pkg" / "b.py", cwd=cwd) == repository.root
    assert find_root(None, cwd=repository.root / "pkg") == repository.root
    lone = tmp_path / "lone"
    (lone / "pkg" / "sub").mkdir(parents=True)
    for name in ("pkg/__init__.py", "pkg/sub/__init__.py", "pkg/sub/mod.py", "script.py"):
        (lone / name).write_text("")
    assert find_root(lone / "pkg" / "sub" / "mod.py", module="pkg.sub.mod", cwd=cwd) == lone
    assert find_root(lone / "script.py", cwd=cwd) == lone
    assert find_root(None, cwd=cwd) == cwd


def test_a_clean_and_a_dirty_tree(
    repository: Project, snapshots: Snapshots, tmp_path: Path
) -> None:
    """Modified, untracked, and deleted files are captured in their current state, and ignored ones are not."""
    tree = describe_tree(repository.root)
    assert (tree.commit, tree.branch, tree.dirty) == (
        repository.git("rev-parse", "HEAD"),
        "main",
        False,
    ) or tree.branch
    assert tree.files == ("a.py", "pkg/b.py")
    repository.write(".gitignore", "*.log\n")
    repository.write("x.log", "ignored")
    repository.write("a.py", "a = 2\n")
    repository.write("new/c.py", "c")
    (repository.root / "pkg" / "b.py").unlink()
    forget()
    tree = describe_tree(repository.root)
    assert tree.dirty and set(tree.changed) == {"a.py", "pkg/b.py", ".gitignore", "new/c.py"}
    assert round_trip(repository.root, snapshots, tmp_path / "out") == {
        ".gitignore",
        "a.py",
        "new/c.py",
    }


def test_snapshots_say_what_changed(repository: Project, snapshots: Snapshots) -> None:
    """Two snapshots show added, removed, and changed files, and equal trees have equal ids."""
    first = snapshots.take(repository.root, describe_tree(repository.root).files)
    repository.write("a.py", "a = 2\n")
    repository.write("c.py", "")
    shutil.rmtree(repository.root / "pkg")
    repository.write("pkg", "a file now")
    forget()
    second = snapshots.take(repository.root, describe_tree(repository.root).files)
    assert set(snapshots.changes(first, second)) == {
        FileChange("a.py", "changed"), FileChange("c.py", "added"), FileChange("pkg", "added"), FileChange("pkg/b.py", "removed")
    }  # fmt: skip
    assert snapshots.has(first) and not snapshots.has("0" * 40)
    with pytest.raises(SnapshotError, match="no file"):
        snapshots.read(first, "c.py")
    with pytest.raises(SnapshotError):
        snapshots.files("0" * 40)


def test_nothing_is_written_to_the_repository(repository: Project, snapshots: Snapshots) -> None:
    """Every file of the user's repository stays unchanged, including the index with its cached stats."""
    repository.write(
        "a.py", "a = 1\n"
    )  # the same content with a new time: git would refresh its index
    git = repository.root / ".git"
    before = {path: path.stat().st_mtime_ns for path in git.rglob("*")}
    snapshots.take(repository.root, describe_tree(repository.root).files)
    assert {path: path.stat().st_mtime_ns for path in git.rglob("*")} == before


def test_no_commit_yet(project: Project, snapshots: Snapshots, tmp_path: Path) -> None:
    """A repository without a commit works."""
    project.git("init", "-q")
    project.write("a.py", "a")
    tree = describe_tree(project.root)
    assert tree.commit is None and tree.dirty
    assert round_trip(project.root, snapshots, tmp_path / "out") == {"a.py"}


def test_a_detached_head(repository: Project) -> None:
    """A detached HEAD has a commit and no branch."""
    repository.git("checkout", "-q", "--detach")
    tree = describe_tree(repository.root)
    assert tree.commit == repository.git("rev-parse", "HEAD") and tree.branch is None


def test_a_merge_in_progress(repository: Project, snapshots: Snapshots, tmp_path: Path) -> None:
    """During a merge, the file with conflict markers is captured once."""
    repository.git("checkout", "-qb", "other")
    repository.write("a.py", "a = 2\n")
    repository.commit()
    repository.git("checkout", "-q", "-")
    repository.write("a.py", "a = 3\n")
    repository.commit()
    with pytest.raises(AssertionError, match=r".*"):
        repository.git("merge", "other")
    assert "<<<<<<<" in (repository.root / "a.py").read_text()
    assert describe_tree(repository.root).dirty
    assert round_trip(repository.root, snapshots, tmp_path / "out") == {"a.py", "pkg/b.py"}


def test_a_foreign_lock(repository: Project, snapshots: Snapshots, tmp_path: Path) -> None:
    """Capturing works while another process holds index.lock."""
    (repository.root / ".git" / "index.lock").write_text("")
    repository.write("c.py", "c")
    assert round_trip(repository.root, snapshots, tmp_path / "out") == {"a.py", "c.py", "pkg/b.py"}


def test_a_linked_worktree(repository: Project, snapshots: Snapshots, tmp_path: Path) -> None:
    """A linked worktree is its own root."""
    repository.git("worktree", "add", "-q", str(tmp_path / "linked"), "-b", "linked")
    (tmp_path / "linked" / "c.py").write_text("c")
    assert find_root(tmp_path / "linked" / "a.py", cwd=tmp_path) == tmp_path / "linked"
    assert describe_tree(tmp_path / "linked").branch == "linked"
    assert round_trip(tmp_path / "linked", snapshots, tmp_path / "out") == {
        "a.py",
        "c.py",
        "pkg/b.py",
    }


def test_a_shallow_clone(repository: Project, snapshots: Snapshots, tmp_path: Path) -> None:
    """A shallow clone works, and its remote is known."""
    repository.write("a.py", "a = 5\n")
    repository.commit()
    url = f"file://{repository.root}"
    repository.git("clone", "-q", "--depth=1", url, str(tmp_path / "clone"))
    assert describe_tree(tmp_path / "clone").remote == url
    assert round_trip(tmp_path / "clone", snapshots, tmp_path / "out") == {"a.py", "pkg/b.py"}


def test_another_remote_after_an_edit(repository: Project) -> None:
    """The remote is known after an edit of the code, and a changed remote is noticed."""
    repository.git("remote", "add", "origin", "https://example.org/one.git")
    for path in (repository.root / name for name in ("a.py", "pkg/b.py", ".git/config")):
        os.utime(path, (1e9, 1e9))
    assert describe_tree(repository.root).remote == "https://example.org/one.git"
    repository.write("a.py", "a = 2\n")
    assert describe_tree(repository.root).remote == "https://example.org/one.git"
    repository.git("remote", "set-url", "origin", "https://example.org/two.git")
    repository.write("a.py", "a = 3\n")
    assert describe_tree(repository.root).remote == "https://example.org/two.git"


def test_submodules_and_nested_repositories(
    repository: Project, snapshots: Snapshots, tmp_path: Path
) -> None:
    """The content of a submodule is captured, including changes, and so is a nested repository without a commit."""
    other = Project(tmp_path / "other")
    other.root.mkdir()
    other.write("lib.py", "lib = 1\n")
    other.commit()
    repository.git(
        "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(other.root), "sub"
    )
    repository.commit()
    repository.write("sub/lib.py", "lib = 2\n")
    repository.write("sub/new.py", "new")
    repository.write("nested/n.py", "n")
    Project(repository.root / "nested").git("init", "-q")
    files = round_trip(repository.root, snapshots, tmp_path / "out")
    assert files == {".gitmodules", "a.py", "pkg/b.py", "sub/lib.py", "sub/new.py", "nested/n.py"}
    assert (tmp_path / "out" / "sub" / "lib.py").read_text() == "lib = 2\n"


def add_submodule(repository: Project, tmp_path: Path) -> Project:
    """Add a submodule `sub` with a committed file, and commit it."""
    other = Project(tmp_path / "other")
    other.root.mkdir()
    other.write("lib.py", "lib = 1\n")
    other.commit()
    allow = ("-c", "protocol.file.allow=always")
    repository.git(*allow, "submodule", "--quiet", "add", str(other.root), "sub")
    repository.commit()
    return Project(repository.root / "sub")


def test_a_submodules_commit(repository: Project, tmp_path: Path) -> None:
    """The record has the commit of a submodule and whether it is dirty, and a new commit in it is noticed."""
    sub = add_submodule(repository, tmp_path)
    age(repository.root)
    first = describe_tree(repository.root)
    commit = sub.git("rev-parse", "HEAD")
    assert first.submodules == (Submodule(path="sub", commit=commit, dirty=False),)
    assert not first.dirty
    sub.git("commit", "-q", "--allow-empty", "-m", "another")
    second = describe_tree(repository.root)
    assert second.submodules[0].commit == sub.git("rev-parse", "HEAD") != commit
    assert second.dirty and second.changed == ("sub",)
    sub.write("lib.py", "lib = 2\n")
    assert describe_tree(repository.root).submodules[0].dirty


def test_a_submodule_that_is_not_checked_out(
    repository: Project, snapshots: Snapshots, tmp_path: Path
) -> None:
    """An uninitialized submodule is listed as skipped, with the commit in the index."""
    sub = add_submodule(repository, tmp_path)
    commit = sub.git("rev-parse", "HEAD")
    repository.git("submodule", "--quiet", "deinit", "-f", "sub")
    tree = describe_tree(repository.root)
    assert tree.submodules == (Submodule(path="sub", commit=commit),)
    assert [(one.path, one.reason) for one in tree.skipped] == [
        ("sub", "a submodule that is not checked out")
    ]
    files = round_trip(repository.root, snapshots, tmp_path / "out")
    assert files == {".gitmodules", "a.py", "pkg/b.py"}


@pytest.mark.parametrize("commits", [0, 1])
def test_a_repository_in_the_repository(
    repository: Project, snapshots: Snapshots, tmp_path: Path, commits: int
) -> None:
    """The files of a nested clone are captured, with or without a commit, at any depth."""
    for folder in ("inner", "deep/er"):
        inner = Project(repository.root / folder)
        inner.write("x.py", "x = 1\n")
        inner.write(".gitignore", "*.log\n")
        inner.write("x.log", "ignored there")
        inner.git("init", "-q")
        if commits:
            inner.commit()
            inner.write("x.py", "x = 2\n")
    files = round_trip(repository.root, snapshots, tmp_path / "out")
    assert files == {"a.py", "pkg/b.py", *(
        f"{folder}/{name}" for folder in ("inner", "deep/er") for name in ("x.py", ".gitignore")
    )}  # fmt: skip
    assert (tmp_path / "out/inner/x.py").read_text() == f"x = {commits + 1}\n"


def test_an_unchanged_tree_is_remembered_by_the_next_process(
    repository: Project, tmp_path: Path
) -> None:
    """A later process uses the cache for an unchanged tree, and notices a change, a commit, and a git setting."""
    store = tmp_path / "store"
    age(repository.root)

    def look() -> tuple[WorkingTree, str | None]:
        forget()
        tree = describe_tree(repository.root, cache=store)
        known = known_snapshot(tree)
        remember_snapshot(tree, "0" * 40, cache=store)
        return tree, known

    def again() -> None:
        """Start again with the cache in this state."""
        age(repository.root)
        look()
        forget()

    first, known = look()
    assert known is None and look() == (first, "0" * 40)
    assert not {"git", "recorder.capture.code.git_tree"} & loaded_by_a_later_process(
        repository, store
    )
    changes = [
        lambda: repository.write("a.py", "a = 9\n"),
        lambda: repository.write("c.log", "c"),
        lambda: repository.commit(),
        lambda: repository.git("checkout", "-qb", "elsewhere"),
        lambda: repository.git("config", "core.excludesFile", str(repository.write("ig", "*.log"))),
        lambda: repository.git("config", "--global", "core.excludesFile", "/nowhere"),
    ]
    for change in changes:
        again()
        assert look()[1] == "0" * 40
        change()
        tree, known = look()
        assert known is None
        forget()
        assert describe_tree(repository.root) == tree
    (file,) = store.iterdir()
    file.write_bytes(b"damaged")
    assert look()[0].files


def loaded_by_a_later_process(repository: Project, cache: Path) -> set[str]:
    """Return the modules that a later process loads to describe a cached tree."""
    text = "import sys; from pathlib import Path; from recorder.capture.code.code import describe_tree; "
    text += f"describe_tree(Path.cwd(), cache=Path({str(cache)!r})); print(*sys.modules)"
    return set(repository.python("-c", text).stdout.split())


def test_a_working_directory_that_was_deleted(project: Project) -> None:
    """In a deleted working directory, the function runs and is recorded with a warning."""
    project.write(
        "run.py",
        """
        import os, tempfile
        from recorder import record

        @record
        def f(x=1):
            return x

        folder = tempfile.mkdtemp()
        os.chdir(folder)
        os.rmdir(folder)
        print(f())
        """,
    )
    done = project.python(str(project.root / "run.py"))
    assert done.stdout == "1\n" and "working directory has been deleted" in done.stderr
    assert project.show(1)["status"] == "finished"


def test_bytes_stay_as_they_are(repository: Project, snapshots: Snapshots, tmp_path: Path) -> None:
    """CRLF under text=auto, a missing LFS filter, ident, and other encodings do not change any byte."""
    repository.write(
        ".gitattributes",
        "* text=auto\n*.bin filter=lfs diff=lfs\n*.id ident\n*.u16 working-tree-encoding=UTF-16\n",
    )
    (repository.root / "crlf.txt").write_bytes(b"a\r\nb\n\r\n")
    (repository.root / "x.bin").write_bytes(bytes(range(256)))
    (repository.root / "v.id").write_bytes(b"$Id$\n")
    (repository.root / "t.u16").write_bytes("text".encode("utf-16"))
    repository.git("config", "core.autocrlf", "true")
    repository.git("config", "filter.lfs.clean", "false")
    repository.git("config", "filter.lfs.required", "true")
    assert len(round_trip(repository.root, snapshots, tmp_path / "out")) == 7


@pytest.mark.skipif(os.name == "nt", reason="links, modes and odd names")
def test_links_modes_and_odd_names(
    repository: Project, snapshots: Snapshots, tmp_path: Path
) -> None:
    """Links, executables, names with newlines and quotes, and names that are not UTF-8 are captured."""
    (repository.root / "link").symlink_to("a.py")
    (repository.root / "dangling").symlink_to("nowhere")
    repository.write("tool", "#!/bin/sh").chmod(0o755)
    for name in (b"odd\xff.txt", b"new\nline", b'quo"te', "é.py".encode()):
        with open(os.fsencode(repository.root) + b"/" + name, "wb") as file:  # noqa: PTH123
            file.write(name)
    assert len(round_trip(repository.root, snapshots, tmp_path / "out")) == 9


def test_an_ignored_file_that_is_tracked(
    repository: Project, snapshots: Snapshots, tmp_path: Path
) -> None:
    """A tracked file is captured even if it is ignored, and files in .git/info/exclude are not."""
    repository.write(".gitignore", "*.dat\n")
    repository.write("forced.dat", "1")
    repository.write("other.dat", "2")
    repository.git("add", "-f", "forced.dat")
    repository.write("private.txt", "3")
    (repository.root / ".git" / "info" / "exclude").write_text("private.txt\n")
    assert round_trip(repository.root, snapshots, tmp_path / "out") == {
        ".gitignore",
        "a.py",
        "pkg/b.py",
        "forced.dat",
    }


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root can give a folder away")
def test_another_owner(repository: Project, snapshots: Snapshots, tmp_path: Path) -> None:
    """The files of another user's repository are captured, with a warning that states how to trust it."""
    for path in [repository.root, *repository.root.rglob("*")]:
        os.chown(path, 12345, 12345)
    tree = describe_tree(repository.root)
    assert tree.commit is None
    assert f"git config --global --add safe.directory {repository.root}" in tree.warnings[0]
    assert round_trip(repository.root, snapshots, tmp_path / "out") == {"a.py", "pkg/b.py"}


def test_no_git_at_all(repository: Project) -> None:
    """Without git on PATH, the files are listed with a warning."""
    env = {"PATH": "/nowhere"}
    text = "from pathlib import Path; from recorder.capture.code.code import describe_tree; t = describe_tree(Path.cwd()); "
    done = repository.python("-c", text + "print(t.commit, t.files, t.warnings[0])", env=env)
    assert (
        done.stdout.startswith("None ('a.py', 'pkg/b.py')")
        and "git is not installed" in done.stdout
    )


def test_what_is_skipped_is_listed(repository: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large files, secrets, and sockets are skipped with a reason, the store and byte code silently."""
    monkeypatch.setattr(file_filter, "MAX_FILE_BYTES", 1000)
    repository.write("large.csv", "x" * 1001)
    repository.write(".env", "TOKEN=1")
    repository.write("keys/id_rsa", "key")
    repository.write("__pycache__/a.pyc", "x")
    repository.write(".recorder/FORMAT", "x")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(repository.root / "socket"))
        tree = describe_tree(repository.root, exclude=[repository.root / ".recorder"])
    assert tree.files == ("a.py", "pkg/b.py")
    reasons = {skipped.path: skipped.reason for skipped in tree.skipped}
    assert set(reasons) >= {"large.csv", ".env", "keys/id_rsa"} and "larger" in reasons["large.csv"]


def test_without_a_repository(project: Project, snapshots: Snapshots, tmp_path: Path) -> None:
    """Without a repository, the folder's files are captured, except environments and caches."""
    project.write("script.py", "x")
    project.write("data/d.csv", "1")
    project.write("venv2/pyvenv.cfg", "")
    project.write("venv2/lib/x.py", "")
    project.write("node_modules/x.js", "")
    project.write(".hidden/x", "")
    tree = describe_tree(project.root)
    assert (tree.commit, tree.branch, tree.dirty, tree.warnings) == (None, None, None, ())
    assert round_trip(project.root, snapshots, tmp_path / "out") == {"script.py", "data/d.csv"}


def test_a_folder_with_too_many_files(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder with too many files and no repository, only loaded modules are captured, with a warning."""
    monkeypatch.setattr(plain_tree, "MAX_WALKED_FILES", 50)
    for i in range(60):
        project.write(f"f{i}.txt", "")
    project.write("loaded_one.py", "x = 1")
    monkeypatch.syspath_prepend(str(project.root))
    import loaded_one  # type: ignore[import-not-found]

    tree = describe_tree(project.root)
    assert tree.files == ("loaded_one.py",)
    assert "git init" in tree.warnings[0]
    del sys.modules[loaded_one.__name__]


def test_what_runs_wrote_is_no_code(repository: Project) -> None:
    """An untracked file written by a run is not code, but a tracked one and a program are."""
    repository.write("model.npz", "m")
    repository.write("plots/a.png", "p")
    repository.write("made.py", "x")
    tree = describe_tree(
        repository.root, outputs=frozenset({"model.npz", "plots", "made.py", "a.py"})
    )
    assert tree.files == ("a.py", "pkg/b.py", "made.py")
    assert tree.changed == ("made.py",)


def test_an_unchanged_tree_is_remembered(repository: Project, snapshots: Snapshots) -> None:
    """An unchanged tree is described by the same object, and any change is noticed."""
    age(repository.root)
    tree = describe_tree(repository.root)
    assert describe_tree(repository.root) is tree
    id = snapshots.take(tree.root, tree.files)
    assert snapshots.take(tree.root, tree.files) == id
    changes = [
        lambda: repository.write("a.py", "a = 9\n"),
        lambda: repository.write("c.py", "c"),
        lambda: (repository.root / "c.py").unlink(),
        lambda: (repository.root / "a.py").chmod(0o755),
        lambda: repository.commit(),
        lambda: repository.git("checkout", "-qb", "elsewhere"),
        lambda: repository.write("pkg/deep/d.py", "d"),
    ]
    for change in changes:
        age(repository.root)
        before = describe_tree(repository.root)
        change()
        now = describe_tree(repository.root)
        assert now is not before
        forget()
        assert describe_tree(repository.root) == now


def age(root: Path) -> None:
    """Date every file back, so that a change from now on is visible."""
    then = time.time() - 10
    for path in [root, *root.rglob("*")]:
        if not path.is_symlink():
            os.utime(path, (then, then))
    forget()


def test_a_file_changed_in_the_same_tick(repository: Project) -> None:
    """A file changed a moment ago is checked again, because another change may have the same time."""
    repository.write("a.py", "a = 7\n")
    tree = describe_tree(repository.root)
    assert describe_tree(repository.root) is not tree


def test_an_output_does_not_end_the_memory(repository: Project) -> None:
    """A known output that appears in a folder does not invalidate the cache."""
    age(repository.root)
    outputs = frozenset({"model.npz"})
    tree = describe_tree(repository.root, outputs=outputs)
    repository.write("model.npz", "m")
    assert describe_tree(repository.root, outputs=outputs) is tree
    repository.write("other.npz", "m")
    assert describe_tree(repository.root, outputs=outputs) is not tree


def test_inside_a_git_hook(
    repository: Project, snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The variables that git sets for hooks do not redirect recorder's git commands."""
    for name, value in (
        ("GIT_DIR", "/nowhere"),
        ("GIT_INDEX_FILE", "/nowhere/index"),
        ("GIT_WORK_TREE", "/nowhere"),
    ):
        monkeypatch.setenv(name, value)
    assert round_trip(repository.root, snapshots, tmp_path / "out") == {"a.py", "pkg/b.py"}


def test_a_stale_lock_of_ours(repository: Project, snapshots: Snapshots) -> None:
    """An index lock left in code.git by a killed git does not prevent the next snapshot."""
    snapshots.take(repository.root, describe_tree(repository.root).files)
    (index,) = [path for path in snapshots.git_dir.glob("index-*") if path.suffix == ""]
    index.with_name(index.name + ".lock").write_text("")
    repository.write("c.py", "c")
    forget()
    assert "c.py" in snapshots.files(
        snapshots.take(repository.root, describe_tree(repository.root).files)
    )


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("https://user:secret@host/x.git", "https://host/x.git"),
        ("https://token@host/x.git", "https://host/x.git"),
        ("ssh://git@host/x.git", "ssh://git@host/x.git"),
        ("ssh://git:pw@host/x.git", "ssh://git@host/x.git"),
        ("git@host:x.git", "git@host:x.git"),
        ("/local/x@y", "/local/x@y"),
    ],
)
def test_credentials_leave_the_url(url: str, clean: str) -> None:
    """Password and token are removed from a remote's URL."""
    assert without_credentials(url) == clean


def test_a_functions_own_source() -> None:
    """The digest changes with the source text, but not with indentation or trailing blanks."""

    def one() -> int:
        return 1

    digest, text = describe_source(one)
    assert text == "def one() -> int:\n    return 1\n"
    assert digest and digest != describe_source(test_a_functions_own_source)[0]
    assert describe_source(len) == (None, None)
