import os

from recorder import record


@record
def main():
    found = []
    for folder, _, names in os.walk("data"):  # hazard: listing order
        found += names
    return found
