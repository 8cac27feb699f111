import os
from pathlib import Path

from recorder import record


@record
def main():
    names = sorted(os.listdir("data"))
    others = os.listdir("data")
    others.sort()
    paths = sorted(p for p in Path("data").iterdir() if p.suffix == ".txt")
    return (
        names,
        others,
        [p.name for p in paths],
        len(os.listdir("data")),
        "1.txt" in os.listdir("data"),
    )
