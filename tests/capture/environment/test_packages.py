"""Tests for installed packages, their sources, and their imports."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import subprocess
import sys
import time
import types
from pathlib import Path

import pytest
from project import Project

from recorder.capture.environment import packages
from recorder.capture.environment.distributions import describe_source
from recorder.capture.environment.packages import find_packages, imported
from recorder.store.store import RunStore


def install(site: Path, name: str, version: str = "1.0", *, record: str = "", **files: str) -> Path:
    """Write a distribution's metadata to the folder, as pip does."""
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nName: x\n"
    )
    if record:
        (info / "RECORD").write_text(record)
    for file, text in files.items():
        (info / file.replace("_json", ".json").replace("_txt", ".txt")).write_text(text)
    return info


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of sys.path that was last changed an hour ago."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    return site


def rest(site: Path, *, ago_s: float = 3600) -> None:
    """Date the last change of the folder a few seconds back."""
    then = time.time() - ago_s
    os.utime(site, (then, then))


def test_the_scan_is_cached_until_something_is_installed(site: Path, tmp_path: Path) -> None:
    """A folder is read from the cache until it changes, and a damaged cache is ignored."""
    install(site, "Thing_One")
    rest(site)
    cache = tmp_path / "envs"
    assert find_packages(cache=cache).describe()["thing-one"] == {"version": "1.0"}
    (file,) = (f for f in cache.iterdir() if "thing-one" in f.read_text())
    file.write_text(file.read_text().replace('"1.0"', '"cached"'))
    assert find_packages(cache=cache).describe()["thing-one"] == {"version": "cached"}
    file.write_text("{ broken")
    assert find_packages(cache=cache).describe()["thing-one"] == {"version": "1.0"}
    install(site, "other", "2.0")
    rest(site, ago_s=60)
    assert find_packages(cache=cache).describe()["other"] == {"version": "2.0"}
    assert len([f for f in cache.iterdir() if "thing-one" in f.read_text()]) == 1


def test_a_folder_that_has_just_changed_is_not_trusted(site: Path, tmp_path: Path) -> None:
    """A scan right after a change is not cached, because a second change may have the same time."""
    install(site, "first")
    now = time.time_ns()
    os.utime(site, ns=(now, now))
    cache = tmp_path / "envs"
    find_packages(cache=cache)
    install(site, "second")
    os.utime(site, ns=(now, now))
    assert "second" in find_packages(cache=cache).distributions


def test_outputs_in_the_projects_folder_leave_the_scan_known(site: Path, tmp_path: Path) -> None:
    """A folder that changes in every run does not invalidate the cache of other folders."""
    install(site, "thing")
    rest(site)
    cache, project = tmp_path / "envs", tmp_path / "project"
    project.mkdir()
    sys.path.insert(0, str(project))  # undone together with the fixture's entry
    find_packages(cache=cache)
    (file,) = (f for f in cache.iterdir() if '"thing"' in f.read_text())
    before = file.stat()
    (project / "output").write_text("x")
    assert "thing" in find_packages(cache=cache).distributions
    assert file.stat() == before


def test_processes_that_scan_at_once_agree(tmp_path: Path) -> None:
    """Processes that fill and read one cache at the same time find the same packages and leave complete files."""
    code = (
        "import sys; from pathlib import Path; from recorder.capture.environment.packages import find_packages\n"
        f"print(sorted(find_packages(cache=Path({str(tmp_path / 'envs')!r})).describe().items()))"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(4)
    ]
    assert len({process.communicate()[0] for process in running}) == 1
    for file in (tmp_path / "envs").iterdir():
        assert file.suffix == ".json" and json.loads(file.read_text())["key"]


def test_damaged_metadata_costs_only_itself(site: Path) -> None:
    """A distribution without a name, or with binary metadata, does not hide others."""
    (site / "empty-1.dist-info").mkdir()
    bad = install(site, "bad", record="\n")
    (bad / "METADATA").write_bytes(b"Name: \xff\xfe\n")
    install(site, "good", direct_url_json="[1]")
    found = find_packages()
    assert found.describe()["good"] == {"version": "1.0"}


def test_the_first_on_the_path_is_the_one(site: Path, tmp_path: Path) -> None:
    """Of two distributions with the same name, the first on sys.path counts."""
    install(site, "numpy", "0.0.1")
    assert find_packages().distributions["numpy"].version == "0.0.1"


def test_where_a_package_came_from() -> None:
    """PEP 610's direct URL gives the commit, the editable path, and the archive, without credentials."""
    text = (
        '{"url": "https://user:token@host/x.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}}'
    )
    assert describe_source(text) == {"url": "https://host/x.git", "commit": "abc", "vcs": "git"}
    assert describe_source('{"url": "file:///x", "dir_info": {"editable": true}}') == {
        "url": "file:///x",
        "editable": True,
    }
    archive = '{"url": "https://host/x.whl", "archive_info": {"hashes": {"sha256": "ab"}}}'
    assert describe_source(archive) == {"url": "https://host/x.whl", "sha256": "ab"}
    older = archive.replace('"hashes": {"sha256": "ab"}', '"hash": "sha256=ab"')
    assert describe_source(older) == describe_source(archive)
    for text in ("", "broken", "[]", '"text"', '{"url": "x", "dir_info": 3}'):
        assert describe_source(text) == {}


def test_modules_by_distribution(site: Path) -> None:
    """A package counts by its outermost folder, a namespace by its contents, and a module by its name."""
    record = "\n".join(
        f"{path},sha256=x,1"
        for path in (
            "pkg/__init__.py", "pkg/sub/__init__.py", "single.py", "_ext.cpython-311-x86_64-linux-gnu.so",
            "space/part/__init__.py", "space/part/deep.py", "pkg.libs/libfoo.so", "../../../bin/tool.py", "pkg/x.txt",
        )
    )  # fmt: skip
    install(site, "many", record=record)
    install(site, "old", top_level_txt="old_one\nold_two\n")
    found = find_packages().distributions
    assert found["many"].modules == ("_ext", "pkg", "single", "space.part")
    assert found["old"].modules == ("old_one", "old_two")


def test_what_was_imported(site: Path, tmp_path: Path) -> None:
    """A distribution counts as imported if a module from its own folder is loaded, not one of the same name."""
    for name in ("used", "unused", "shadowed"):
        install(site, name, record=f"{name}/__init__.py,,\n")
    found = find_packages()
    modules = {
        name: types.SimpleNamespace(__file__=str(file))
        for name, file in (
            ("used", site / "used" / "__init__.py"),
            ("shadowed", tmp_path / "shadowed.py"),
        )
    }
    assert imported(found, modules) == ["used"]


def test_an_editable_install_was_imported(site: Path, tmp_path: Path) -> None:
    """An editable install counts as imported if a module below its folder is loaded, outside virtual environments."""
    project = tmp_path / "my project"
    url = project.as_uri()
    install(site, "mine", direct_url_json=json.dumps({"url": url, "dir_info": {"editable": True}}))
    found = find_packages()
    inside = types.SimpleNamespace(__file__=str(project / "src" / "mine.py"))
    installed = types.SimpleNamespace(__file__=str(project / ".venv/lib/site-packages/x.py"))
    assert imported(found, {"x": installed}) == []
    assert imported(found, {"x": installed, "mine": inside}) == ["mine"]


def test_a_lazy_module_stays_asleep(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inspecting loaded modules does not trigger lazy ones."""
    package = site / "sleeper"
    package.mkdir()
    (package / "__init__.py").write_text("import os; os.environ['SLEEPER'] = 'awake'")
    install(site, "sleeper", record="sleeper/__init__.py,,\n")
    importlib.invalidate_caches()
    spec = importlib.util.find_spec("sleeper")
    assert spec is not None and spec.loader is not None
    spec.loader = importlib.util.LazyLoader(spec.loader)  # type: ignore[arg-type]
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert imported(find_packages(), {"sleeper": module}) == ["sleeper"]
    assert "SLEEPER" not in os.environ


def test_recorder_and_what_it_requires(site: Path) -> None:
    """The imports of recorder itself are listed separately."""
    own = find_packages().own
    assert {"run-recorder", "tinydb", "gitpython", "gitdb"} <= own
    assert not {"numpy", "pandas", "pytest"} & own
    assert packages._closure("nothing", {}) == set()


def test_a_run_knows_what_it_imported(project: Project) -> None:
    """An import inside the function counts, but not an installed package, nor one that only recorder needs."""
    project.write(
        "e.py",
        """
        from recorder import record

        @record
        def f():
            import numpy
            return 1

        f()
        f()
        """,
    )
    project.python("e.py")
    store = RunStore(project.root)
    first, second = store.runs()
    assert first.runtime is not None and second.runtime is not None
    begun, ended = (json.loads(store.read(d)) for d in (first.runtime.start, first.runtime.last))
    assert "numpy" not in begun["imported"] and "numpy" in ended["imported"]
    assert "pandas" not in ended["imported"] and "msgspec" not in ended["imported"]
    assert "msgspec" in ended["imported_by_recorder"]
    assert (second.runtime.start, second.runtime.end) == (first.runtime.end, None)
    assert first.environment == second.environment
    assert first.fingerprint != second.fingerprint or first.seed == second.seed


def test_the_modules_of_a_record_in_any_order(site: Path) -> None:
    """The order of a RECORD file and its line ends do not change the modules."""
    paths = [
        "a/__init__.py",
        "a/x.py",
        "b.py",
        "a/sub/__init__.py",
        "c/d/__init__.py",
        "c/d/y.py",
        "a/z.so",
        "e/f.py",
    ]
    for number, (listed, end) in enumerate(
        [(sorted(paths), "\n"), (paths, "\n"), (paths[::-1], "\r\n")]
    ):
        record = "".join(
            f"{path},sha256=x,1{end}" for path in [*listed, "../bin/run.py", "p-1.dist-info/RECORD"]
        )
        install(site, f"p{number}", record=record)
    found = find_packages().distributions
    assert [found[f"p{n}"].modules for n in range(3)] == [("a", "b", "c.d", "e.f")] * 3
