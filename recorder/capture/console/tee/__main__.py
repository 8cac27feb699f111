"""The program of the tee process, for an interpreter without site-packages: it reports that it runs, and serves.

pathlib would take 10 ms to import.
"""

import _socket
import os
import sys

# The folder comes last on the path, so that nothing next to recorder replaces a module of the standard library.
_FOLDERS_UP = 5
_here = os.path.abspath(__file__)  # noqa: PTH100
sys.path.append(_here.rsplit(os.sep, _FOLDERS_UP)[0])

from recorder.capture.console.tee.messages import CONTROL, send  # noqa: E402


def _close_others() -> None:
    """Close every descriptor inherited by accident, because it could keep another process's pipe open."""
    for name in os.listdir("/dev/fd"):  # noqa: PTH208
        if int(name) > CONTROL:
            try:
                os.close(int(name))
            except OSError:
                continue  # the descriptor of the listing itself


_close_others()
os.chdir("/")
control = _socket.socket(fileno=CONTROL)
send(control, f"ready {os.getpid()}")

# This is half of the startup, and nothing waits for it.
from recorder.capture.console.tee.server import Server  # noqa: E402

Server(control).run()
