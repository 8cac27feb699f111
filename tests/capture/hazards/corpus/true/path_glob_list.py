from pathlib import Path

from recorder import record


@record
def main():
    files = list(Path("data").glob("*.txt"))  # hazard: listing order
    return [file.name for file in files]
