"""A stateful class: a magnet that is cooled step by step, where each call continues from the state before."""

import numpy as np

from recorder import log, record, save


class Magnet:
    """A square of spins, and the number of sweeps."""

    def __init__(self, size: int):
        self.spins = np.ones((size, size), dtype=np.int8)
        self.sweeps = 0

    @record
    def sweep(self, temperature: float, times: int = 4, seed: int = 0):
        made = np.random.default_rng(seed + self.sweeps)
        size = len(self.spins)
        for _ in range(times):
            for i, j in made.integers(0, size, (size * size, 2)):
                around = sum(
                    int(self.spins[(i + di) % size, (j + dj) % size])
                    for di, dj in ((0, 1), (1, 0), (0, -1), (-1, 0))
                )
                if made.random() < np.exp(-2 * self.spins[i, j] * around / temperature):
                    self.spins[i, j] *= -1
            self.sweeps += 1
            log(step=self.sweeps, magnetization=self.spins.mean())
        save(self.spins, name="spins")
        return float(self.spins.mean())


if __name__ == "__main__":
    magnet = Magnet(16)
    for temperature in (4.0, 1.0):
        magnet.sweep(temperature)
