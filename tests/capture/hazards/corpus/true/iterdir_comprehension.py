from pathlib import Path

from recorder import record


@record
def main():
    return [p.name for p in Path("data").iterdir()]  # hazard: listing order
