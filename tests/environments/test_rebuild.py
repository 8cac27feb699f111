"""Tests of `recorder replay --env rebuild` with real installers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from hashlib import sha256
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import msgspec
import pytest
from packaging.pylock import Pylock
from project import ROOT, Project

from recorder.capture.environment.distributions import name_of
from recorder.environments.blueprint import draw
from recorder.environments.pythons import find_python
from recorder.environments.recorded import load_environment
from recorder.environments.requirements import Requirement
from recorder.store.store import RunStore

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SCRIPT = """
from recorder import record
import tiny

@record
def measure(x: int = 3):
    return {"value": tiny.scale(x)}

if __name__ == "__main__":
    measure()
"""


def write_wheel(folder: Path, name: str, version: str, files: dict[str, bytes], tag: str) -> None:
    """Write a wheel as an index would have it."""
    stem = f"{name.replace('-', '_')}-{version}"
    info = f"{stem}.dist-info"
    files = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n".encode(),
        **files,
    }
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"]).encode()
    with zipfile.ZipFile(folder / f"{stem}-{tag}.whl", "w") as wheel:
        for path, data in files.items():
            wheel.writestr(path, data)


def needed(name: str) -> Iterator[Distribution]:
    """Yield an installed distribution and its requirements, recursively."""
    waiting, seen = [name], set[str]()
    while waiting:
        one = waiting.pop()
        if one in seen:
            continue
        seen.add(one)
        try:
            found = distribution(one)
        except PackageNotFoundError:
            continue  # required on another platform only
        yield found
        wanted = [line for line in found.requires or () if "extra ==" not in line]
        waiting += [named for named in map(name_of, wanted) if named]


def pack(found: Distribution, folder: Path) -> None:
    """Write a wheel of an installed distribution."""
    files = {
        str(path): Path(str(path.locate())).read_bytes()
        for path in found.files or ()
        if ".." not in path.parts
        and path.suffix != ".pyc"
        and not path.parts[0].endswith(".dist-info")
    }
    lines = (found.read_text("WHEEL") or "").splitlines()
    tags = [line[5:].split("-") for line in lines if line.startswith("Tag: ")]
    tag = "-".join(".".join(sorted(set(column))) for column in zip(*tags, strict=True))
    write_wheel(folder, found.metadata["Name"], found.version, files, tag)


class Rig:
    """A small environment, a folder with wheels of its packages and two versions of `tiny`, and a project with one run."""

    def __init__(self, project: Project, folder: Path) -> None:
        self.project = project
        self.wheels = folder / "wheels"
        self.wheels.mkdir()
        names = []
        for found in (*needed("run-recorder"), distribution("pip")):
            if found.metadata["Name"] != "run-recorder":
                pack(found, self.wheels)
                names.append(f"{found.metadata['Name']}=={found.version}")
        for version, factor in (("1.0", 2), ("2.0", 3)):
            code = f"def scale(x):\n    return {factor} * x\n".encode()
            write_wheel(self.wheels, "tiny", version, {"tiny/__init__.py": code}, "py3-none-any")
        make = [sys.executable, "-m", "venv", "--without-pip", str(folder / "env")]
        subprocess.run(make, check=True)
        python = "Scripts/python.exe" if os.name == "nt" else "bin/python"
        self.python = str(folder / "env" / python)
        project.env |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.wheels)}
        pip = [sys.executable, "-m", "pip", "--python", self.python]
        self.project._run([*pip, "install", "-q", "--no-deps", "tiny==1.0", *names])
        purelib = self.call("-c", "import sysconfig; print(sysconfig.get_path('purelib'))").stdout
        (Path(purelib.strip()) / "recorder.pth").write_text(f"{ROOT}\n")
        project.write("exp.py", SCRIPT)
        project.commit()
        self.call("exp.py")
        self.call("-m", "pip", "install", "-q", "tiny==2.0")

    def call(self, *args: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        """Run the Python of the small environment in the project."""
        return self.project._run([self.python, *args], status=status)

    def replay(self, *args: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        """Run `recorder replay 1` in the small environment."""
        return self.call("-m", "recorder", "replay", "1", *args, status=status)

    def environments(self) -> list[Path]:
        """Return the folders of the environments that were built."""
        folder = self.project.root / ".recorder" / "envs"
        return [path for path in folder.iterdir() if path.is_dir()]


def check_lock(text: str, rig: Rig) -> None:
    """Assert that a string is a lock file of PEP 751 that pins each recorded package by the digest of its file."""
    lock = tomllib.loads(text)
    Pylock.from_dict(lock)
    (tiny,) = [one for one in lock["packages"] if one["name"] == "tiny"]
    (wheel,) = tiny["wheels"]
    data = (rig.wheels / wheel["name"]).read_bytes()
    assert tiny["version"] == "1.0" and wheel["hashes"] == {"sha256": sha256(data).hexdigest()}
    assert {"blake3", "msgspec", "tinydb"} <= {one["name"] for one in lock["packages"]}


def test_a_changed_package(project: Project, tmp_path: Path) -> None:
    """A replay with another version of a package diverges and names it; in the rebuilt environment it reproduces.

    The second replay uses the environment again. A package that has left the index is named before anything runs.
    """
    rig = Rig(project, tmp_path)
    done = rig.replay(status=1)
    assert "tiny: 1.0 -> 2.0" in done.stderr and "value: 6 -> 9" in done.stdout
    plan = json.loads(rig.replay("--env", "rebuild", "--plan", "--json").stdout)
    assert not any(one["key"] == "packages.tiny" for one in plan["deviations"])
    assert rig.environments() == []
    lock = rig.call("-m", "recorder", "env", "1", "--format", "pylock").stdout
    check_lock(lock, rig)
    done = rig.replay("--env", "rebuild")
    assert "building the environment of run 1" in done.stderr
    assert done.stdout.splitlines()[-1] == "reproduced"
    done = rig.replay("--env", "rebuild")
    assert "building" not in done.stderr and done.stdout.splitlines()[-1] == "reproduced"
    done = rig.replay("--explain", status=1)
    assert (
        "result depends on the installed versions, which differ from run 1 (tiny: 1.0 -> 2.0): with the recorded"
        " Python and packages, rebuilt it matches the record"
    ) in done.stdout
    (built,) = rig.environments()
    (built / "done").unlink()  # as if its building had been killed
    (rig.wheels / "tiny-1.0-py3-none-any.whl").unlink()
    done = rig.replay("--env", "rebuild", status=3)
    assert "no index has tiny==1.0" in done.stderr and "--env PATH" in done.stderr
    assert not (built / "env").exists()
    assert len(RunStore(project.root)) == 6
    rig.call("-m", "recorder", "gc")
    assert rig.environments() == []


def test_what_cannot_be_had_is_named(project: Project) -> None:
    """A Python that is not installed, and a package from a folder that is gone, block a replay and name the cure."""
    project.write("exp.py", SCRIPT.replace("import tiny", "").replace("tiny.scale(x)", "x"))
    project.commit()
    project.python("exp.py")
    store = RunStore(project.root)
    record = store.get(1)
    assert record.environment is not None
    described = json.loads(store.read(record.environment))
    described["python"]["version"] = "3.4.1"
    described["packages"] = {
        "elsewhere": {"version": "2.0", "url": "file:///nowhere/else", "editable": True},
        "gone": {"version": "1.0", "url": "file:///nowhere/gone"},
        "here": {"version": "1.0", "url": f"file://{project.root}", "editable": True},
        "plain": {"version": "3.0"},
        "silent": {"version": ""},
    }
    digest = store.objects.put_bytes(json.dumps(described).encode())
    other = msgspec.structs.replace(record, environment=digest)
    blueprint = draw(load_environment(store, other), other)
    assert blueprint.lines == ("plain==3.0",)
    assert len(blueprint.missing) == 2
    assert "no Python 3.4 on this machine" in blueprint.missing[0]
    assert "gone 1.0 was installed from /nowhere/gone" in blueprint.missing[1]
    assert [note.split()[0] for note in blueprint.notes] == ["elsewhere", "here", "silent"]


def test_this_python_is_found() -> None:
    """find_python finds the running version, another patch version by its minor version, and no absent version."""
    minor = f"{sys.version_info[0]}.{sys.version_info[1]}"
    found = find_python(f"{minor}.{sys.version_info[2]}")
    assert found is not None and found.version == f"{minor}.{sys.version_info[2]}"
    near = find_python(f"{minor}.99")
    assert near is not None and near.version.startswith(f"{minor}.")
    assert find_python("3.4.1") is None


CLONED = Requirement(name="a", version="1", origin="vcs", url="https://h/a")


@pytest.mark.parametrize(
    ("requirement", "line"),
    [
        (CLONED, "a @ git+https://h/a"),
        (
            msgspec.structs.replace(CLONED, commit="c" * 40, vcs="hg", subdirectory="sub"),
            f"a @ hg+https://h/a@{'c' * 40}#subdirectory=sub",
        ),
        (
            Requirement(
                name="a", version="1", origin="archive", url="https://h/a.zip#x=1", sha256="ab"
            ),
            "a @ https://h/a.zip#x=1",
        ),
    ],
)
def test_lines_of_what_came_from_no_index(requirement: Requirement, line: str) -> None:
    """A requirement line keeps the version control system, the commit, and the folder inside the source."""
    assert requirement.line == line
