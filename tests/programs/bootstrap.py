# A script without a main guard that reads a table, resamples it, and prints results.
import csv
import random
import statistics
from pathlib import Path

from recorder import log, record

with Path("shops.csv").open() as file:
    towns = [row["town"] for row in csv.DictReader(file)]

ROUNDS = 300
print(f"{len(towns)} shops")


def spread(sample):
    return len(set(sample)) / len(sample)


@record
def bootstrap(rounds):
    found = []
    for step in range(rounds):
        found.append(spread(random.choices(towns, k=len(towns))))
        if step % 50 == 49:
            log(step=step, mean=statistics.fmean(found))
    low, *_, high = statistics.quantiles(found, n=20)
    with Path("interval.txt").open("w") as file:
        print(low, high, file=file)
    return low, high


interval = bootstrap(ROUNDS)
print(f"between {interval[0]:.3f} and {interval[1]:.3f}")
again = bootstrap(ROUNDS // 2)
