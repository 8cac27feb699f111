"""A Monte Carlo price of an Asian option in two processes, with a seed sequence for each piece."""

import multiprocessing

import numpy as np

from recorder import log, record, save


def simulate(piece):
    """Return the payoffs of one piece of the paths."""
    sequence, paths, strike = piece
    steps = np.random.default_rng(sequence).normal(size=(paths, 50))
    prices = 100 * np.exp(np.cumsum(0.2 * np.sqrt(1 / 50) * steps - 0.02 / 50, axis=1))
    return np.maximum(prices.mean(axis=1) - strike, 0)


@record
def price(paths: int = 40_000, strike: float = 100.0, method: str = "fork", seed: int = 5):
    pieces = [(s, paths // 8, strike) for s in np.random.SeedSequence(seed).spawn(8)]
    with multiprocessing.get_context(method).Pool(2) as pool:
        found = []
        for payoffs in pool.imap(simulate, pieces):
            found.append(payoffs)
            log(paths=sum(map(len, found)), mean=np.concatenate(found).mean())
    payoffs = np.concatenate(found)
    save(payoffs, name="payoffs")
    return {"price": payoffs.mean(), "error": payoffs.std() / np.sqrt(len(payoffs))}


if __name__ == "__main__":
    price()
    price(method="spawn")
