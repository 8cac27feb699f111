import os

from recorder import record


@record
def main():
    rows = []
    for name in os.listdir("data"):  # hazard: listing order
        rows.append(open(os.path.join("data", name)).read())
    return rows
