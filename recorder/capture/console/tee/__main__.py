"""What the tee's process runs, in an interpreter without site-packages: it says that it is there, and serves.

(pathlib would take 10 ms to import.)
"""

import _socket
import os
import sys

# Last on the path: nothing that lies beside recorder takes the place of a module of the library.
_FOLDERS_UP = 5
_here = os.path.abspath(__file__)  # noqa: PTH100
sys.path.append(_here.rsplit(os.sep, _FOLDERS_UP)[0])

from recorder.capture.console.tee.messages import CONTROL, send  # noqa: E402


def _close_others() -> None:
    """Close every descriptor that was inherited by accident: it might keep a pipe of somebody's open."""
    for name in os.listdir("/dev/fd"):  # noqa: PTH208
        if int(name) > CONTROL:
            try:
                os.close(int(name))
            except OSError:
                continue  # the listing's own descriptor


_close_others()
os.chdir("/")
control = _socket.socket(fileno=CONTROL)
send(control, f"ready {os.getpid()}")

# Half of the start, for which nobody has to wait.
from recorder.capture.console.tee.server import Server  # noqa: E402

Server(control).run()
