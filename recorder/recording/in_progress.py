"""The runs of this process whose code is executing now, apart from the context that a thread does not have."""

from __future__ import annotations

from typing import Any

# Of `recorder.recording.run.ActiveRun`. A list: append and remove are atomic.
executing: list[Any] = []
