"""The options of a replay."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from ..records import Part


class Request(Part, frozen=True):
    """The options of a replay. The defaults replay a run as recorded, with this interpreter.

    Attributes:
        settings: Changes to the config: strings by key, see `recorder.config.settings`. With any, there is no verdict.
        secrets: The values of redacted arguments: strings by key (``db.password``). They must be the recorded values.
        rtol: Numbers are close up to this relative difference. `rtol` or `atol` replaces the declared tolerances.
        atol: Numbers are close up to this absolute difference.
        keep_workspace: Keep the workspace after the replay.
        current_code: Run the project's current code with the recorded config and inputs.
        interpreter: The path of the Python that runs it. Recorder's dependencies must be importable there.
        rebuild: Rebuild the recorded environment and use its Python, see `recorder.environments.rebuild`.
        variables: Environment variables that override the recorded ones, None for a variable to unset
            (``{"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"}``).
        inputs: The present places of files that the run read: paths by recorded path, or folders by recorded folder.
            Their content must be the recorded one.
        current_inputs: Read inputs outside the project in their present state, changed or not.
    """

    settings: Mapping[str, str] = {}
    secrets: Mapping[str, str] = {}
    rtol: float | None = None
    atol: float | None = None
    keep_workspace: bool = False
    current_code: bool = False
    interpreter: str = sys.executable
    rebuild: bool = False
    variables: Mapping[str, str | None] = {}
    inputs: Mapping[str, str] = {}
    current_inputs: bool = False
