"""Tests for a function's source text, and for `recorder code`."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
from project import Project

from recorder.capture.code.source import describe_source, find_source

TEXT = '''
import functools


def plain(a):
    """One."""
    return a


@functools.lru_cache(
    maxsize=3,
)
def decorated():
    return 1

    # the end


if True:
    def twice():
        return 1
    first = twice

    def twice():
        return 2

class C:
    class D:
        async def method(self):
            x = """
  text
            """
            return x

square = lambda x: (
    x * x
)
'''


def test_the_text_is_found_in_the_file(tmp_path: Path) -> None:
    """The source that `describe_source` digests is found in the file's text by its digest."""
    path = tmp_path / "module_of_functions.py"
    path.write_text(TEXT)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    for function in (
        module.plain, module.decorated, module.first, module.twice, module.C.D.method, module.square
    ):  # fmt: skip
        digest, text = describe_source(function)
        assert text and find_source(TEXT, qualname=function.__qualname__, digest=digest) == text


def test_without_a_digest_the_last_of_the_name() -> None:
    """Without a digest, the last function with the name is found; a missing one, or invalid Python, gives None."""
    assert find_source(TEXT, qualname="twice", digest=None) == "def twice():\n    return 2\n"
    assert find_source(TEXT, qualname="other", digest=None) is None
    assert find_source(TEXT, qualname="plain", digest="blake3:0") is None
    assert find_source("def (", qualname="plain", digest=None) is None


@pytest.fixture
def edited(project: Project) -> Project:
    """A project with a run whose files have changed since."""
    script = """
        from recorder import record


        @record
        def f(x=1):
            return x


        if __name__ == "__main__":
            f()
    """
    project.write("src/train.py", script)
    project.write("src/data.bin", "\x01\r\n")
    project.commit()
    project.python("src/train.py")
    project.write("src/train.py", "gone\n")
    return project


def test_the_code_as_it_ran(edited: Project) -> None:
    """`recorder code` lists the snapshot, prints a file by the end of its path, and prints the experiment's function."""
    assert edited.recorder("code", "1").stdout.split() == ["src/data.bin", "src/train.py"]
    assert edited.recorder("code", "1", "train.py").stdout.endswith("\n    f()\n")
    own = edited.recorder("code", "1", "--function").stdout
    assert own == "@record\ndef f(x=1):\n    return x\n"


def test_code_that_is_not_there(edited: Project) -> None:
    """A wrong file name, and a function without a file, are reported as errors."""
    said = edited.recorder("code", "1", "trian.py", status=3).stderr
    assert "run 1 has no file 'trian.py': there is src/train.py" in said
    edited.recorder("exec", "--", sys.executable, "-c", "pass")
    assert "a command line" in edited.recorder("code", "2", "--function", status=3).stderr
    edited.recorder("code", "1", "train.py", "--function", status=2)
