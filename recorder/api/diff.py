"""The differences between two runs, displayed as the command line does."""

from __future__ import annotations

from ..compare import diff


class RunDiff(diff.Diff, frozen=True):
    """The differences between two runs by section: config, code, environment, inputs, outputs, metrics, result.

    >>> changed = store.diff(1, 2)
    >>> [(entry.key, entry.left, entry.right) for entry in changed.sections["config"]]
    [('lr', 0.05, 0.1)]
    >>> changed.same
    False
    """

    def __repr__(self) -> str:
        from .notebook import diff_text

        return diff_text(self)

    def _repr_html_(self) -> str:
        from .notebook import diff_html

        return diff_html(self)
