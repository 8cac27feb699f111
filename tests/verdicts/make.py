"""Write the cases of the verdict corpus: ``python tests/verdicts/make.py [NAME]...``.

It needs the libraries that the programs import, and writes cases/NAME.zip, which the tests read without them. Each program
runs three times: in a project, in a folder like the workspace of a replay, and there again with the variable TWIN, which
makes it write one number that is off by 1e-3.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import time
import zipfile
from datetime import datetime, timezone
from pathlib import Path

HERE = Path(__file__).parent
PROJECT = Path("/srv/verdicts/project")
WORKSPACE = f"{PROJECT}/.recorder/workspaces/0123456789abcdefghjk/files"
# Caches, and models of tens of kilobytes that add nothing to the case.
LEFT_OUT = ("__pycache__", ".recorder", "cache", "optimizer.pt", "tokenizer")


def main() -> None:
    """Write the cases that are named, or all of them."""
    names = sys.argv[1:] or [path.stem for path in sorted((HERE / "programs").glob("*.py"))]
    for name in names:
        shutil.rmtree(PROJECT, ignore_errors=True)
        with zipfile.ZipFile(HERE / "cases" / f"{name}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            facts = {}
            for run, place in (("recorded", ""), ("replayed", WORKSPACE), ("twin", WORKSPACE)):
                folder = Path(f"{place}{PROJECT}")
                shutil.rmtree(folder, ignore_errors=True)
                facts[run] = run_program(name, folder, twin=run == "twin")
                for path in sorted(folder.rglob("*")):
                    if path.is_file() and not set(path.relative_to(folder).parts) & {*LEFT_OUT}:
                        archive.write(path, f"{run}/{path.relative_to(folder)}")
                time.sleep(1.1)  # names with the time in seconds
            archive.writestr("facts.json", json.dumps(facts))
        print(name, (HERE / "cases" / f"{name}.zip").stat().st_size, "bytes")


def run_program(name: str, folder: Path, *, twin: bool) -> dict[str, object]:
    """Run a program in a folder, and return the facts that a record has of it."""
    folder.mkdir(parents=True)
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", **({"TWIN": "1"} if twin else {})}
    started = datetime.now(timezone.utc)
    program = HERE / "programs" / f"{name}.py"
    subprocess.run([sys.executable, program], cwd=folder, env=environment, check=True)
    finished = datetime.now(timezone.utc)
    return {
        "root": str(PROJECT),
        "cwd": str(folder),
        "started": started.isoformat(),
        "finished": finished.isoformat(),
        "duration_s": (finished - started).total_seconds(),
        "platform": f"Python {platform.python_version()}",
    }


if __name__ == "__main__":
    main()
