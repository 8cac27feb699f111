"""Tests for console capture in real processes: pipes, files, pseudo-terminals, crashes, forks, and kills."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from project import ROOT

from recorder.capture.console.console import Console
from recorder.capture.console.streams import ends_in
from recorder.capture.console.tee.sink import Sink

HEAD = """
import ctypes, faulthandler, io, os, signal, subprocess, sys, threading, time
from pathlib import Path
from recorder.capture.console import console, flusher
from recorder.capture.console.console import Console
def new(number=1):
    return Console(Path(f"out{number}"), Path(f"err{number}"), Path(f"index{number}"))
c = new()
"""


class Program:
    """A script in a folder, run in a separate interpreter. Its consoles write out1, err1, out2, and so on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.env.pop("PYTHONUNBUFFERED", None)

    def command(self, code: str, *, recorded: bool = True) -> list[str]:
        head = HEAD if recorded else HEAD + "Console.start = Console.stop = lambda self: None\n"
        (self.folder / "script.py").write_text(head + textwrap.dedent(code))
        return [sys.executable, str(self.folder / "script.py")]

    def run(self, code: str, *, status: int | None = 0, **options: object) -> tuple[bytes, bytes]:
        """Run the script with pipes, and return its output."""
        done = subprocess.run(
            self.command(code),
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            timeout=60,
            **options,  # type: ignore[call-overload]
        )
        assert status is None or done.returncode == status, (
            done.returncode,
            done.stdout,
            done.stderr,
        )
        return done.stdout, done.stderr

    def shell(
        self, line: str, code: str, *, recorded: bool = True
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a shell command line with the script in the place of %."""
        line = line.replace("%", " ".join(self.command(code, recorded=recorded)))
        return subprocess.run(
            ["bash", "-c", line], cwd=self.folder, env=self.env, capture_output=True, timeout=60
        )

    def on_terminal(
        self, code: str, talk: Callable[[int, int], None] | None = None
    ) -> tuple[int, bytes]:
        """Run it on a terminal of 33 x 99, and return exit status and display. `talk` gets the descriptor and the pid."""
        command = self.command(code)
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(self.folder)
            set_size(0, 33, 99)
            os.execve(command[0], command, self.env)
        if talk is not None:
            talk(terminal, pid)
        shown = read_all(terminal)
        os.close(terminal)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown

    def out(self, number: int = 1) -> bytes:
        return (self.folder / f"out{number}").read_bytes()

    def err(self, number: int = 1) -> bytes:
        return (self.folder / f"err{number}").read_bytes()


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """A folder for a script."""
    return Program(tmp_path)


def console_in(folder: Path, *, number: int | str = "") -> Console:
    """Return a console that writes to out, err, and index in the folder."""
    return Console(*(folder / f"{name}{number}" for name in ("out", "err", "index")))


def read_all(fd: int) -> bytes:
    found = b""
    while True:
        try:
            data = os.read(fd, 65536)
        except OSError:
            return found
        if not data:
            return found
        found += data


def set_size(fd: int, rows: int, columns: int) -> None:
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait until the condition holds, at most 20 s."""
    for _ in range(2000):
        if holds():
            return
        time.sleep(0.01)
    raise AssertionError("it never came to hold")


EVERYTHING = """
print("before")
c.start()
print("python")
sys.stdout.flush()
os.write(1, b"descriptor\\n")
subprocess.run(["echo", "child"])
libc = ctypes.CDLL(None)
libc.puts(b"libc")
libc.fflush(None)
sys.__stdout__.write("dunder\\n")
sys.__stdout__.flush()
sys.stdout.buffer.write(b"\\xff\\x00 bytes, \\xc3\\xa4\\n")
print("é ✓", end="")
print("python", file=sys.stderr)
subprocess.run("echo child >&2", shell=True)
libc.printf(b" held back by C")
c.stop()
print(" after")
print("after", file=sys.stderr)
assert not c.warnings and c.cut_bytes == (0, 0), (c.warnings, c.cut_bytes)
"""
OUT = b"python\ndescriptor\nchild\nlibc\ndunder\n\xff\x00 bytes, \xc3\xa4\n\xc3\xa9 \xe2\x9c\x93 held back by C"
ERR = b"python\nchild\n"


def test_everything_in_order_to_pipes(program: Program) -> None:
    """Output of Python, descriptors, children, and C is recorded in order, and shown as without recorder."""
    shown = program.run(EVERYTHING)
    assert (program.out(), program.err()) == (OUT, ERR)
    assert shown == (b"before\n" + OUT + b" after\n", ERR + b"after\n")


def test_everything_to_files(program: Program) -> None:
    """A file that stdout is redirected to has everything in order at the program's end."""
    program.shell("% > shown 2> errors", EVERYTHING)
    assert (program.out(), program.err()) == (OUT, ERR)
    assert (program.folder / "shown").read_bytes() == b"before\n" + OUT + b" after\n"
    assert (program.folder / "errors").read_bytes() == ERR + b"after\n"


def test_everything_on_a_terminal(program: Program) -> None:
    """On a terminal, the program sees a terminal of the same size, and the files have plain line ends."""
    status, shown = program.on_terminal(
        EVERYTHING
        + """
        c = new(2)
        c.start()
        print(sys.stdout.isatty(), sys.stderr.isatty(), os.get_terminal_size())
        c.stop()
        """.replace("\n        ", "\n")
    )
    assert status == 0
    assert (program.out(), program.err()) == (OUT, ERR)
    assert b"descriptor\r\nchild\r\nlibc\r\n" in shown and shown.endswith(b"lines=33)\r\n")
    assert program.out(2) == b"True True os.terminal_size(columns=99, lines=33)\n"


def test_a_terminal_that_changes_its_size(program: Program) -> None:
    """The program sees a new size of the terminal."""

    def talk(terminal: int, _pid: int) -> None:
        wait_until(lambda: (program.folder / "out1").exists() and program.out() != b"")
        set_size(terminal, 44, 111)

    status, _ = program.on_terminal(
        """
        c.start()
        print("ready", flush=True)
        while os.get_terminal_size().columns != 111:
            time.sleep(0.01)
        c.stop()
        """,
        talk,
    )
    assert status == 0


def test_the_terminal_itself_is_left_alone(program: Program) -> None:
    """The terminal keeps its settings, also after Ctrl-C, and shows all output."""
    settings_before: list[object] = []
    settings_after: list[object] = []

    def talk(terminal: int, _pid: int) -> None:
        settings_before.extend(termios.tcgetattr(terminal))
        wait_until(lambda: (program.folder / "out1").exists() and program.out() != b"")
        os.write(terminal, b"\x03")
        settings_after.extend(termios.tcgetattr(terminal))

    status, shown = program.on_terminal("c.start()\nprint('on it')\ntime.sleep(30)\n", talk)
    assert status == -signal.SIGINT and settings_before == settings_after
    assert b"on it\r\n" in shown and b"KeyboardInterrupt" in shown
    assert program.out() == b"on it\n"


def test_shown_at_once(program: Program) -> None:
    """Output is shown while the run continues."""
    command = program.command("c.start()\nprint('now', flush=True)\nsys.stdin.read()\nc.stop()\n")
    with subprocess.Popen(
        command, cwd=program.folder, env=program.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == b"now\n"
        assert program.out() == b"now\n"
        process.communicate(timeout=20)


def test_while_c_holds_pythons_lock(program: Program) -> None:
    """C code that prints a megabyte while holding Python's lock does not block forever."""
    shown, _ = program.run(
        """
        c.start()
        data = b"x" * 1_000_000
        written = ctypes.PyDLL(None).write(1, data, len(data))
        c.stop()
        assert written == len(data)
        """
    )
    assert shown == program.out() == b"x" * 1_000_000


def test_much_output(program: Program) -> None:
    """30 MB from Python and a child pass completely, and the file keeps both ends and states what is missing."""
    code = """
        c.start()
        for _ in range(10):
            sys.stdout.write("0123456789abcde\\n" * 65536)
        sys.stdout.flush()
        subprocess.run("yes 0123456789abcde | head -c 20971520", shell=True)
        c.stop()
        assert c.cut_bytes == (30 * 1024 * 1024 - 16 * 1024 * 1024, 0), c.cut_bytes
    """
    shown, _ = program.run(code)
    half = b"0123456789abcde\n" * (8 * 65536)
    assert shown == b"0123456789abcde\n" * (30 * 65536)
    assert program.out() == half + b"\n[recorder: 14680064 bytes cut here]\n" + half


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=20), st.integers(0, 200))
def test_a_sink_keeps_both_ends(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], limit_bytes: int
) -> None:
    """A sink keeps everything up to its limit, or the first and last half of it, for any sizes of the pieces."""
    path = tmp_path_factory.mktemp("sink") / "file"
    sink = Sink(os.open(path, os.O_WRONLY | os.O_CREAT), limit_bytes=limit_bytes)
    for piece in pieces:
        sink.write(piece)
    sink.close()
    whole, kept = b"".join(pieces), path.read_bytes()
    if len(whole) <= limit_bytes:
        assert kept == whole and sink.cut_bytes == 0
    else:
        head, tail = limit_bytes - limit_bytes // 2, limit_bytes // 2
        note = b"\n[recorder: %d bytes cut here]\n" % (len(whole) - limit_bytes)
        assert kept == whole[:head] + note + whole[len(whole) - tail :]
        assert sink.cut_bytes == len(whole) - limit_bytes


def test_a_full_disk(program: Program) -> None:
    """If the file cannot be written, the program continues, its output is shown, and a warning reports it."""
    shown, _ = program.run(
        """
        c = Console(Path("/dev/full"), Path("err1"), Path("index1"))
        c.start()
        print("shown")
        print("kept", file=sys.stderr)
        c.stop()
        assert "No space left" in c.warnings[0], c.warnings
        """
    )
    assert shown == b"shown\n" and program.err() == b"kept\n"


def test_no_place_for_the_files(tmp_path: Path) -> None:
    """If the files cannot be created, the console warns, captures nothing, and stops silently."""
    found = console_in(tmp_path / "missing")
    found.start()
    found.stop()
    assert len(found.warnings) == 1 and "missing" in found.warnings[0]


def test_one_after_the_other_and_nested(program: Program) -> None:
    """Each console gets the output between its start and its stop, in any order of their ends."""
    shown, _ = program.run(
        """
        a, b, c = map(new, (1, 2, 3))
        print("0"); a.start()
        print("a"); b.start()
        print("ab"); a.stop()
        print("b"); c.start(); c.start()
        os.system("echo bc"); c.stop(); c.stop()
        print("b again"); b.stop()
        print("9"); c.start()
        print("c again"); c.stop()
        """
    )
    assert shown == b"0\na\nab\nb\nbc\nb again\n9\nc again\n"
    assert program.out(1) == b"a\nab\n"
    assert program.out(2) == b"ab\nb\nbc\nb again\n"
    assert program.out(3) == b"bc\nc again\n"


def test_threads(program: Program) -> None:
    """In many threads, each console has everything its own thread printed, and all output is shown once."""
    shown, _ = program.run(
        """
        def work(number):
            for _ in range(20):
                console = new(number)
                Path(f"out{number}").unlink(missing_ok=True)
                console.start()
                for line in range(20):
                    os.write(1, b"%d:%d\\n" % (number, line))
                console.stop()
                lines = Path(f"out{number}").read_text().splitlines()
                own = [line for line in lines if line.startswith(f"{number}:")]
                assert own == [f"{number}:{line}" for line in range(20)], lines
                assert not console.warnings, console.warnings
            done.append(number)
        done = []
        threads = [threading.Thread(target=work, args=(n,)) for n in range(1, 9)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        assert len(done) == 8
        """
    )
    expected = sorted(
        [f"{number}:{line}".encode() for number in range(1, 9) for line in range(20)] * 20
    )
    assert sorted(shown.splitlines()) == expected


def test_fork(program: Program) -> None:
    """A forked child's output belongs to the run, the child ends nothing, and can record its own run."""
    shown, _ = program.run(
        """
        c.start()
        print("parent", flush=True)
        child = os.fork()
        if child == 0:
            print("child", flush=True)
            c.stop()
            d = new(2)
            d.start()
            print("child's own", flush=True)
            d.stop()
            assert not d.warnings and not c.warnings
            print("child again")
            sys.exit(0)
        assert os.waitpid(child, 0)[1] == 0
        print("parent again")
        c.stop()
        """
    )
    assert shown == program.out() == b"parent\nchild\nchild's own\nchild again\nparent again\n"
    assert program.out(2) == b"child's own\n"


def test_many_forks_while_python_flushes(program: Program) -> None:
    """Forks at any moment leave no locked stream in the child."""
    program.run(
        """
        console.FLUSH_EVERY_S = 0.0001
        c.start()
        for number in range(100):
            print(number)
            child = os.fork()
            if child == 0:
                print("child", number, flush=True)
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
        c.stop()
        """
    )
    assert program.out().count(b"child") == 100


def test_workers_of_multiprocessing(program: Program) -> None:
    """The output of a pool's workers is recorded and shown for every start method."""
    for method in ("fork", "spawn"):
        shown, _ = program.run(
            f"""
            import multiprocessing
            if __name__ == "__main__":
                c.start()
                with multiprocessing.get_context("{method}").Pool(2) as pool:
                    pool.map(print, range(10))
                    pool.close()
                    pool.join()
                c.stop()
            """
        )
        assert (
            sorted(program.out().split()) == sorted(shown.split()) == [b"%d" % n for n in range(10)]
        )
        (program.folder / "out1").unlink()


def test_a_child_that_stays(program: Program) -> None:
    """A child that outlives the run does not delay it, and its output is shown, even after the program's end."""
    shown, _ = program.run(
        """
        c.start()
        subprocess.Popen("echo early; while [ ! -e go ]; do sleep 0.01; done; echo late; touch gone", shell=True)
        while not Path("out1").read_text(): time.sleep(0.01)
        c.stop()
        Path("go").touch()
        """
    )
    assert shown == b"early\nlate\n" and program.out() == b"early\n"


def test_a_child_that_never_ends_printing(program: Program) -> None:
    """A child that prints endlessly does not keep a run from ending."""
    done = program.shell(
        "% | head -c 30000000 | tail -c 2",
        """
        c.start()
        child = subprocess.Popen(["yes"])
        while os.stat("out1").st_size < 1_000_000: time.sleep(0.01)
        c.stop()
        child.kill()
        child.wait()
        """,
    )
    assert program.out().startswith(b"y\ny\n") and done.stderr == b""


@pytest.mark.parametrize(
    ("end", "words"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", b""),
        ("os.kill(os.getpid(), signal.SIGTERM)", b""),
        ("os._exit(3)", b""),
        ("os.abort()", b""),
        ("faulthandler.enable(); ctypes.string_at(0)", b"Segmentation fault"),
    ],
)
def test_sudden_ends(program: Program, end: str, words: bytes) -> None:
    """If the program is killed or crashes, its output is in the files and was shown."""
    shown, errors = program.run(
        f"c.start()\nprint('last words' * 3000, flush=True)\nos.write(2, b'err\\n')\n{end}\n",
        status=None,
    )
    assert shown == b"last words" * 3000 + b"\n" and errors.startswith(b"err\n") and words in errors
    wait_until(lambda: (program.out(), program.err()) == (shown, errors))


def test_killed_with_words_in_pythons_buffer(program: Program) -> None:
    """Output in Python's buffer reaches the file after a while without a flush by the program."""
    command = program.command(
        "flusher.FLUSH_EVERY_S = 0.02\nc.start()\nprint('held back')\ntime.sleep(60)\n"
    )
    process = subprocess.Popen(
        command, cwd=program.folder, env=program.env, stdout=subprocess.DEVNULL
    )
    wait_until(lambda: (program.folder / "out1").exists() and program.out() == b"held back\n")
    process.kill()
    process.wait()


def test_exit_in_mid_run(program: Program) -> None:
    """If the interpreter exits with an active console, all output was shown and is in the file."""
    done = program.shell("% > shown; cat shown", "c.start()\nprint('the end', end='')\n")
    assert done.stdout == b"the end" == program.out()


def test_broken_pipe(program: Program) -> None:
    """A program whose output is no longer read ends as without recorder."""
    code = "c.start()\nfor number in range(1_000_000): print(number)\nc.stop()\n"
    recorded = program.shell("% | head -2", code)
    plain = program.shell("% | head -2", code, recorded=False)
    assert recorded.stdout == plain.stdout == b"0\n1\n"
    assert b"BrokenPipeError" in plain.stderr and b"BrokenPipeError" in recorded.stderr
    assert program.out().startswith(b"0\n1\n2\n")


@pytest.mark.parametrize("closed", ["0>&-", "1>&-", "2>&-", "0>&- 1>&- 2>&-"])
def test_closed_descriptors(program: Program, closed: str) -> None:
    """A closed standard stream stays closed, and the other one is recorded."""
    program.shell(
        f"% {closed}",
        """
        def state():
            return [os.path.exists(f"/proc/self/fd/{n}") for n in (0, 1, 2)]
        before = state()
        c.start()
        if sys.stdout: print("out")
        if sys.stderr: print("err", file=sys.stderr)
        during = state()
        c.stop()
        Path("states").write_text(str((before == during == state(), c.warnings)))
        """,
    )
    assert (program.folder / "states").read_text() == "(True, [])"
    assert program.out() == (b"" if "1>&-" in closed else b"out\n")
    assert program.err() == (b"" if "2>&-" in closed else b"err\n")


def test_nothing_is_left_behind(program: Program) -> None:
    """After the run, descriptors, streams, and children are as before, and the tee ends."""
    program.run(
        """
        def state():
            held = os.listdir("/proc/self/fd")
            ends = [os.readlink(f"/proc/self/fd/{n}") for n in (0, 1, 2)]
            return len(held), ends, sys.stdout, sys.stderr
        console.prepare()
        before = state()
        for _ in range(20):
            c.start()
            os.system("true")
            c.stop()
        assert state() == before, (state(), before)
        try:
            os.wait()
        except ChildProcessError:
            pass
        else:
            sys.exit("a child was left")
        """
    )


def test_the_tee_ends_with_the_program(program: Program) -> None:
    """No process remains after the program has ended."""
    shown, _ = program.run("c.start()\nc.stop()\nprint(console._scribe.pid)\n")
    status = Path(f"/proc/{int(shown)}/status")
    wait_until(lambda: not status.exists() or "zombie" in status.read_text())


def test_the_tee_is_killed(program: Program) -> None:
    """If the tee is killed, the program does not hang, the streams are restored, and the next run is recorded."""
    shown, _ = program.run(
        """
        c.start()
        print("first", flush=True)
        while not Path("out1").read_text(): time.sleep(0.01)
        os.kill(console._scribe.pid, signal.SIGKILL)
        while True:
            try:
                os.write(1, b"x" * 65536)
            except BrokenPipeError:
                break
        c.stop()
        assert "ended" in c.warnings[0] or "roken pipe" in c.warnings[0], c.warnings
        c = new(2)
        c.start()
        print("second")
        c.stop()
        assert not c.warnings, c.warnings
        """
    )
    assert (
        shown.startswith(b"first\n")
        and shown.endswith(b"second\n")
        and program.out(2) == b"second\n"
    )


def test_the_tee_is_killed_between_runs(program: Program) -> None:
    """A run that finds the tee gone starts another one, even if SIGPIPE would end the program."""
    shown, _ = program.run(
        """
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        c.start()
        c.stop()
        os.kill(console._scribe.pid, signal.SIGKILL)
        def is_gone():
            try:
                stat = Path(f"/proc/{console._scribe.pid}/stat").read_text()
            except (FileNotFoundError, ProcessLookupError):
                return True
            return stat.rpartition(")")[2].split()[0] in "ZX"
        while not is_gone(): time.sleep(0.01)
        c = new(2)
        c.start()
        print("second")
        c.stop()
        assert not c.warnings, c.warnings
        """
    )
    assert shown == b"second\n" == program.out(2)


def test_streams_led_elsewhere_in_mid_run(program: Program) -> None:
    """A stream that the program itself replaces stays replaced."""
    shown, _ = program.run(
        """
        c.start()
        print("first", flush=True)
        mine = os.open("mine", os.O_WRONLY | os.O_CREAT)
        os.dup2(mine, 1)
        sys.stderr = io.StringIO()
        c.stop()
        print("second", flush=True)
        print("third", file=sys.stderr)
        assert sys.stderr.getvalue() == "third\\n"
        """
    )
    assert shown == b"first\n" and (program.folder / "mine").read_bytes() == b"second\n"


@pytest.mark.parametrize("executable", ["/nowhere/python", "/bin/true", "", None])
def test_without_a_tee(program: Program, executable: str | None) -> None:
    """If the tee cannot start, Python's own output is recorded with a warning."""
    shown, _ = program.run(
        f"        sys.executable = {executable!r}\n"
        """
        d = new(2)
        c.start()
        print("kept")
        d.start()
        print("both")
        d.stop()
        os.system("echo shown")
        sys.stdout.buffer.write(b"bytes\\n")
        c.stop()
        print("after")
        assert sys.stdout is sys.__stdout__ and "only output of Python itself" in c.warnings[0]
        """
    )
    assert program.out() == b"kept\nboth\nbytes\n" and program.out(2) == b"both\n"
    assert sorted(shown.split()) == [b"after", b"both", b"bytes", b"kept", b"shown"]


def test_streams_of_python_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream without a descriptor shows the output, which is recorded too, and is restored afterwards."""
    own = io.StringIO()
    monkeypatch.setattr(sys, "stdout", own)
    monkeypatch.setattr(sys, "stderr", None)
    found = console_in(tmp_path)
    found.start()
    kept = sys.stdout
    print("ä ✓ \ud800")
    os.write(1, b"descriptor\n")
    assert sys.stdout.getvalue() == "ä ✓ \ud800\n"
    found.stop()
    assert sys.stdout is own and not found.warnings
    print("after", file=kept)
    assert own.getvalue() == "ä ✓ \ud800\nafter\n"
    lines = (tmp_path / "out").read_bytes().split(b"\n")
    assert sorted(lines) == sorted(["ä ✓ \\ud800".encode(), b"descriptor", b""])


def test_under_pytests_own_capture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """capsys sees the output of a run as it does without recorder."""
    found = console_in(tmp_path)
    found.start()
    print("printed")
    print("complained", file=sys.stderr)
    found.stop()
    assert capsys.readouterr() == ("printed\n", "complained\n")
    assert ((tmp_path / "out").read_text(), (tmp_path / "err").read_text()) == (
        "printed\n",
        "complained\n",
    )


def test_a_logger_in_the_place_of_stdout(program: Program) -> None:
    """The output of a user's object that prints and keeps a copy is recorded once."""
    shown, _ = program.run(
        """
        class Logger:
            def __init__(self): self.terminal, self.log = sys.stdout, io.StringIO()
            def write(self, text): self.terminal.write(text); self.log.write(text)
            def flush(self): self.terminal.flush()
        sys.stdout = Logger()
        c.start()
        print("once")
        c.stop()
        """
    )
    assert shown == program.out() == b"once\n"


def test_which_streams_end_in_a_descriptor(tmp_path: Path) -> None:
    """A stream on the descriptor, or one that holds it, ends in it; a StringIO, a file, and None do not."""
    with (tmp_path / "a").open("w") as file:
        assert ends_in(file, file.fileno()) and not ends_in(file, 1)
    for stream in (io.StringIO(), None, object()):
        assert not ends_in(stream, 1)


def test_signals_to_the_whole_group(program: Program) -> None:
    """A signal to the process group that the program handles does not end the tee."""
    shown, _ = program.run(
        """
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
            signal.signal(number, lambda *_: print("handled", flush=True))
        c.start()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
            os.killpg(0, number)
        c.stop()
        assert not c.warnings
        """,
        start_new_session=True,
    )
    assert shown == program.out() == b"handled\n" * 4


def test_output_that_does_not_block(program: Program) -> None:
    """A non-blocking original receives everything."""
    process = subprocess.Popen(
        program.command(
            """
            os.set_blocking(1, False)
            c.start()
            subprocess.run("head -c 3000000 /dev/zero", shell=True)
            c.stop()
            """
        ),
        cwd=program.folder, env=program.env, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    pipe = process.stdout.fileno()
    full = fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ) - 4096
    wait_until(
        lambda: int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder) >= full
    )
    shown, _ = process.communicate(timeout=30)
    assert len(shown) == 3_000_000 == len(program.out())


def test_from_within_this_process(tmp_path: Path) -> None:
    """Runs in threads of one process leave its streams unchanged."""
    streams = sys.stdout, sys.stderr
    failed: list[str] = []

    def run(number: int) -> None:
        for _ in range(30):
            found = console_in(tmp_path, number=number)
            found.start()
            os.write(2, b"%d\n" % number)
            found.stop()
            failed.extend(found.warnings)
        if b"%d\n" % number not in (tmp_path / f"err{number}").read_bytes():
            failed.append(f"{number} is missing")

    threads = [threading.Thread(target=run, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed and (sys.stdout, sys.stderr) == streams
