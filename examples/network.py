"""Train a two-layer network in NumPy on the digits: loss and accuracy per epoch, and a saved model.

python examples/network.py
recorder run examples/network.py:train lr=0.2 epochs=10
recorder diff train~1 train
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from recorder import log, record, save


def one_hot(labels: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.eye(10)[labels]


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    scaled: NDArray[np.float64] = np.exp(logits - logits.max(axis=1, keepdims=True))
    scaled /= scaled.sum(axis=1, keepdims=True)
    return scaled


@record
def train(
    lr: float = 0.1, epochs: int = 5, hidden: int = 32, batch: int = 64, seed: int = 0
) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    digits = load_digits()
    images, labels = np.asarray(digits.data) / 16.0, np.asarray(digits.target)
    order = rng.permutation(len(images))
    fit, test = order[:1400], order[1400:]

    w1 = rng.normal(0, 0.3, (64, hidden))
    w2 = rng.normal(0, 0.3, (hidden, 10))
    predicted, accuracy = np.zeros(len(test), np.int64), 0.0
    for epoch in range(epochs):
        losses = []
        for start in range(0, len(fit), batch):
            rows = fit[start : start + batch]
            x, y = images[rows], one_hot(labels[rows])
            h = np.maximum(x @ w1, 0)
            p = softmax(h @ w2)
            losses.append(-np.log((p * y).sum(axis=1) + 1e-12).mean())
            slope = (p - y) / len(rows)
            slope_h = (slope @ w2.T) * (h > 0)
            w2 -= lr * h.T @ slope
            w1 -= lr * x.T @ slope_h
        predicted = (np.maximum(images[test] @ w1, 0) @ w2).argmax(axis=1)
        accuracy = float((predicted == labels[test]).mean())
        log(step=epoch, loss=np.mean(losses), accuracy=accuracy)
        print(f"epoch {epoch}: loss {np.mean(losses):.4f}, accuracy {accuracy:.4f}")

    model = Path("outputs", "model.npz")
    model.parent.mkdir(exist_ok=True)
    np.savez(model, w1=w1, w2=w2)
    save(model)
    save(predicted, name="predictions")
    return {"accuracy": accuracy}


if __name__ == "__main__":
    train(lr=0.05)
