"""Tests for forks while another thread makes a recorded call."""

from __future__ import annotations

import os

import pytest
from project import Project

COLD = """
import os, sys, threading, time
from recorder import record

@record
def f(i):
    return i

thread = threading.Thread(target=f, args=(1,))
thread.start()
time.sleep(float(sys.argv[1]))
child = os.fork()
if child == 0:
    f(2)
    os._exit(0)
for _ in range(600):
    if os.waitpid(child, os.WNOHANG) != (0, 0):
        break
    time.sleep(0.1)
else:
    os.kill(child, 9)
    print("the child hangs")
thread.join()
print(sys.getswitchinterval())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.parametrize("delay", ["0", "0.002", "0.02", "0.1", "0.3"])
def test_a_fork_during_the_first_call_of_another_thread(project: Project, delay: str) -> None:
    """A child forked while another thread imports recorder's modules can record its own first call."""
    project.write("cold.py", COLD)
    done = project.python("cold.py", delay)
    assert done.stdout == "0.005\n", done.stdout
