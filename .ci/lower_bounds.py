"""Print pyproject.toml's declared lower bounds as constraints for pip: ``name==version``, one a line.

    python .ci/lower_bounds.py [EXTRA ...]

Prints the core dependencies, and those of each extra that is named. Environment markers are dropped, because a
constraint on a package that is not installed does nothing.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"


def main(extras: list[str]) -> None:
    """Print the constraints. Raise ValueError for a dependency that declares no lower bound."""
    project = tomllib.loads(PYPROJECT.read_text())["project"]
    found = list(project["dependencies"])
    for extra in extras:
        found += project["optional-dependencies"][extra]
    for requirement in found:
        match = re.match(r"([A-Za-z0-9_.-]+)\s*>=\s*([0-9][0-9A-Za-z.]*)", requirement)
        if match is None:
            raise ValueError(f"no lower bound: {requirement}")
        print(f"{match[1]}=={match[2]}")


if __name__ == "__main__":
    main(sys.argv[1:])
