"""Protection of a forked child from imports that another thread has begun for recorder.

recorder imports most of its modules at the first recorded call. If the program forks while another thread is in such
an import, the child inherits a locked module lock whose owner does not exist there, and its own first recorded call
would wait for that lock forever. So a fork first waits until no other thread is importing on recorder's behalf.
"""

from __future__ import annotations

import os
import sys
import time
from _thread import get_ident  # threading takes 1 ms to import
from typing import TYPE_CHECKING

from ..paths import PACKAGE

if TYPE_CHECKING:
    from types import FrameType

# A fork waits no longer than this: the importing thread may itself be waiting for the forking one.
_WAIT_WITHIN_S = 5.0
_POLL_S = 0.001
# For this time, no other thread can interrupt this one between the last look at the locks and the fork.
_SWITCH_S = 0.02

_STDLIB = (os.path.dirname(os.__file__) + os.sep, "<frozen")  # noqa: PTH120
_INSTALLED = f"{os.sep}site-packages{os.sep}"

_usual_switch_s: float | None = None


def _before_fork() -> None:
    global _usual_switch_s
    if len(sys._current_frames()) < 2:
        return
    until_s = time.monotonic() + _WAIT_WITHIN_S
    _usual_switch_s = sys.getswitchinterval()
    sys.setswitchinterval(max(_usual_switch_s, _SWITCH_S))
    while True:
        # Threads that wait for the interpreter notice the new interval only after they had it once.
        time.sleep(_POLL_S)
        if not _is_another_importing() or time.monotonic() > until_s:
            return


def _after_fork() -> None:
    global _usual_switch_s
    if _usual_switch_s is not None:
        sys.setswitchinterval(_usual_switch_s)
        _usual_switch_s = None


def _is_another_importing() -> bool:
    """Return True if another thread is in an import that recorder's code has begun."""
    # CPython's locks by module (importlib/_bootstrap.py): each entry is a weak reference to a lock with an owner.
    locks = getattr(sys.modules.get("_frozen_importlib"), "_module_locks", {})
    owners = {name: getattr(ref(), "owner", None) for name, ref in list(locks.items())}
    others = {name: owner for name, owner in owners.items() if owner not in (None, get_ident())}
    if any(name.partition(".")[0] == "recorder" for name in others):
        return True
    frames = sys._current_frames() if others else {}
    return any(_is_ours(frames.get(owner)) for owner in set(others.values()))


def _is_ours(frame: FrameType | None) -> bool:
    """Return True if the nearest frame outside the libraries belongs to recorder."""
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(PACKAGE):
            return True
        if not (file.startswith(_STDLIB) or _INSTALLED in file):
            return False
        frame = frame.f_back
    return False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork
    )
