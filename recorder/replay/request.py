"""What a replay is asked to do: one frozen value, made once and passed on unchanged."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from ..records import Part


class Request(Part, frozen=True):
    """How a run is to be replayed; by default as it was recorded, with this interpreter.

    Attributes:
        settings: Changes to the config as texts by their keys, see `recorder.config.settings`; with any, no verdict.
        secrets: The values of arguments that were redacted, as texts by their keys (``db.password``). They must be
            the recorded ones, and are no change.
        rtol: Numbers count as close up to this relative difference. Where this or `atol` is given, it takes the
            place of what the experiment declared.
        atol: Numbers count as close up to this absolute difference.
        keep: Leave the workspace where it is.
        here: Run the project's code as it is now, with the recorded config and inputs: does it still give that?
        interpreter: The Python that runs it. Recorder's own dependencies must be importable there.
        rebuild: Take for the interpreter the recorded environment, built again (see `recorder.environments.rebuild`).
        variables: Environment variables by name that take the place of the recorded ones, None for one that is not
            to be set (``{"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"}``).
        inputs: Where files now lie that the run read: paths by recorded paths, or folders by folders. They must have
            the recorded content.
        live_inputs: Read inputs outside the project where they are (or where `inputs` says), changed or not.
    """

    settings: Mapping[str, str] = {}
    secrets: Mapping[str, str] = {}
    rtol: float | None = None
    atol: float | None = None
    keep: bool = False
    here: bool = False
    interpreter: str = sys.executable
    rebuild: bool = False
    variables: Mapping[str, str | None] = {}
    inputs: Mapping[str, str] = {}
    live_inputs: bool = False
