"""Tests for the user's key: created once, private, and never in a store."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from recorder.errors import RecorderWarning
from recorder.secrets import key as keys

ASK = "from recorder.secrets.key import key, is_lasting; print(key().hex(), is_lasting())"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty configuration folder, and no key in this process's cache."""
    monkeypatch.delenv("RECORDER_KEY_FILE", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(keys, "_keys", {})
    return tmp_path / "config"


def ask(**variables: str) -> subprocess.Popen[str]:
    """Return the key that a new process has."""
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", ASK],
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_the_key_is_made_for_the_user_alone(home: Path) -> None:
    """The first use creates 32 random bytes in a file that only the user can read, and leaves no other file."""
    found = keys.key()
    file = home / "recorder" / "key"
    assert len(found) == 32 and file.read_text() == f"{found.hex()}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [entry.name for entry in file.parent.iterdir()] == ["key"]


def test_processes_at_once_have_one_key(home: Path) -> None:
    """Eight processes that start without a key end with the same one, which is kept."""
    asked = [ask() for _ in range(8)]
    said = {process.communicate()[0] for process in asked}
    assert said == {f"{keys.key().hex()} True\n"}


def test_the_variable_names_the_file(home: Path, tmp_path: Path) -> None:
    """RECORDER_KEY_FILE takes precedence over the configuration folder."""
    out, _ = ask(RECORDER_KEY_FILE=str(tmp_path / "mine" / "k")).communicate()
    assert out == f"{(tmp_path / 'mine' / 'k').read_text().strip()} True\n"
    assert not home.exists()


@pytest.mark.parametrize("text", ["", "ab\n", "no hex\n", "aa" * 33])
def test_a_damaged_key_is_not_written_over(
    home: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file with other content is left unchanged, and the process warns and uses a temporary key."""
    monkeypatch.setattr(keys, "_WHOLE_WITHIN_S", 0.01)
    file = home / "recorder" / "key"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    file.chmod(0o600)
    with pytest.warns(RecorderWarning, match="key"):
        found = keys.key()
    assert keys.key() == found and len(found) == 32 and not keys.is_lasting()
    assert file.read_text() == text


def test_where_no_key_can_be_kept(home: Path, tmp_path: Path) -> None:
    """A folder that cannot be created causes one warning, and each process has a different key."""
    (tmp_path / "config").write_text("a file, and no folder")
    with pytest.warns(RecorderWarning, match="RECORDER_KEY_FILE") as said:
        found = keys.key()
        assert keys.key() == found
    assert len(said) == 1 and not keys.is_lasting()
    out, _ = ask().communicate()
    assert out.split()[0] != found.hex() and out.split()[1] == "False"


def test_a_key_that_others_can_read_is_warned_about(home: Path) -> None:
    """A key file that other users can read causes a warning with the remedy, as in ssh."""
    keys.key()
    file = home / "recorder" / "key"
    file.chmod(0o644)
    keys._keys.clear()
    with pytest.warns(RecorderWarning, match="chmod 600"):
        assert keys.key().hex() == file.read_text().strip()


def test_each_purpose_has_a_key_of_its_own(home: Path) -> None:
    """Derived keys repeat for the same purpose, and do not reveal each other."""
    one, other = keys.derive("recorder test 1"), keys.derive("recorder test 2")
    assert one == keys.derive("recorder test 1") and len(one) == 32
    assert len({one, other, keys.key()}) == 3
