import os
from pathlib import Path

from recorder import record


@record
def main():
    sizes = {name: os.path.getsize(f"data/{name}") for name in os.listdir("data")}
    loaded = {}
    for path in Path("data").glob("*.txt"):
        loaded[path.name] = path.read_text()
    return sizes["1.txt"], loaded["2.txt"]
