"""Estimate pi from random points, in plain Python, without setting a seed.

recorder draws a seed and seeds Python's generator with it, and does so again in a replay.

    python examples/pi.py
    recorder replay last
"""

import math
import random

from recorder import log, record


@record
def estimate_pi(points: int = 200_000, report_every: int = 20_000) -> float:
    inside = 0
    for i in range(1, points + 1):
        x, y = random.random(), random.random()
        inside += x * x + y * y <= 1.0
        if i % report_every == 0:
            log(step=i, estimate=4 * inside / i, error=abs(4 * inside / i - math.pi))
    estimate = 4 * inside / points
    print(f"pi is about {estimate}")
    return estimate


if __name__ == "__main__":
    estimate_pi()
