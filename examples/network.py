"""Train a two-layer network in NumPy on the digits: loss and accuracy per epoch, and a saved model.

python examples/network.py
recorder run examples/network.py:train lr=0.2 epochs=10
recorder diff train~1 train
"""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from recorder import log, record, save


def one_hot(labels):
    return np.eye(10)[labels]


def softmax(logits):
    scaled = np.exp(logits - logits.max(axis=1, keepdims=True))
    return scaled / scaled.sum(axis=1, keepdims=True)


@record
def train(lr: float = 0.1, epochs: int = 5, hidden: int = 32, batch: int = 64, seed: int = 0):
    rng = np.random.default_rng(seed)
    images, labels = load_digits(return_X_y=True)
    images = images / 16.0
    order = rng.permutation(len(images))
    fit, test = order[:1400], order[1400:]

    w1 = rng.normal(0, 0.3, (64, hidden))
    w2 = rng.normal(0, 0.3, (hidden, 10))
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
        accuracy = (predicted == labels[test]).mean()
        log(step=epoch, loss=np.mean(losses), accuracy=accuracy)
        print(f"epoch {epoch}: loss {np.mean(losses):.4f}, accuracy {accuracy:.4f}")

    model = Path("outputs", "model.npz")
    model.parent.mkdir(exist_ok=True)
    np.savez(model, w1=w1, w2=w2)
    save(model)
    save(predicted, name="predictions")
    return {"accuracy": float(accuracy)}


if __name__ == "__main__":
    train(lr=0.05)
