"""Simulate an epidemic: a command line that does not use recorder.

    recorder exec --name epidemic -- python examples/epidemic.py --contacts 0.4
    recorder cat last:outputs/epidemic.csv
    recorder replay last

Without --seed, the seed is taken from RECORDER_SEED, so that a replay uses the seed of its run.
"""

import argparse
import csv
import os
import random
from collections.abc import Iterator
from pathlib import Path


def count(people: int, chance: float, draw: random.Random) -> int:
    """Return how many of the people are affected."""
    return sum(draw.random() < chance for _ in range(people))


def simulate(args: argparse.Namespace) -> Iterator[tuple[int, int, int, int]]:
    """Yield, for each day, its number and how many people are healthy, ill and recovered."""
    draw = random.Random(args.seed)
    healthy, ill, recovered = args.people - 5, 5, 0
    for day in range(args.days):
        yield day, healthy, ill, recovered
        fell_ill = count(healthy, args.contacts * ill / args.people, draw)
        got_well = count(ill, args.recovery, draw)
        healthy, ill, recovered = (
            healthy - fell_ill,
            ill + fell_ill - got_well,
            recovered + got_well,
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--people", type=int, default=500)
    parser.add_argument("--days", type=int, default=80)
    parser.add_argument("--contacts", type=float, default=0.3, help="infectious contacts per day")
    parser.add_argument("--recovery", type=float, default=0.1, help="chance of recovery per day")
    parser.add_argument("--seed", type=int, default=int(os.environ.get("RECORDER_SEED", 0)))
    parser.add_argument("--out", type=Path, default="outputs/epidemic.csv")
    args = parser.parse_args()

    rows = list(simulate(args))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with args.out.open("w", newline="") as file:
        csv.writer(file).writerows([("day", "healthy", "ill", "recovered"), *rows])
    day, _, ill, _ = max(rows, key=lambda row: row[2])
    print(f"at most {ill} of {args.people} are ill, on day {day}")


if __name__ == "__main__":
    main()
