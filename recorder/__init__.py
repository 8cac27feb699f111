"""recorder: a flight recorder for Python experiments."""

from __future__ import annotations

__version__ = "0.1.0"
