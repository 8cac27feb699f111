"""The state of Python's global generator when recorder was imported.

`import recorder` loads this module, before most programs seed `random`: a later state that is reached from this one
by draws alone was not seeded. See `recorder.capture.seeding.program_seeds`.
"""

from __future__ import annotations

import sys

_getstate = getattr(sys.modules.get("random"), "getstate", None)
random_state = None if _getstate is None else _getstate()
