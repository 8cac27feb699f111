"""A convolutional network in PyTorch on the digits: shuffled batches, dropout, a checkpoint an epoch.

    python examples/convnet.py
    recorder run examples/convnet.py:train lr=0.003 epochs=3
    recorder replay last

Nothing is seeded by hand: recorder plants its seed in PyTorch's generator, and plants it again in a replay.
"""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

from recorder import log, record, save


def make_model():
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(16 * 4 * 4, 10),
    )


@record
def train(lr: float = 0.01, epochs: int = 2, batch: int = 64, images: int = 1797):
    pixels, labels = load_digits(return_X_y=True)
    x = torch.tensor(pixels[:images] / 16, dtype=torch.float32).reshape(-1, 1, 8, 8)
    data = TensorDataset(x, torch.tensor(labels[:images]))
    fit, test = random_split(data, [0.8, 0.2])

    model = make_model()
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    for epoch in range(epochs):
        model.train()
        for inputs, targets in DataLoader(fit, batch_size=batch, shuffle=True):
            loss = nn.functional.cross_entropy(model(inputs), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            log(loss=loss)
        model.eval()
        inputs, targets = next(iter(DataLoader(test, batch_size=len(test))))
        accuracy = (model(inputs).argmax(1) == targets).float().mean().item()
        log(step=epoch, accuracy=accuracy)
        torch.save(model.state_dict(), "model.pt")
        save("model.pt")
        print(f"epoch {epoch}: accuracy {accuracy:.4f}")
    return {"accuracy": accuracy}


if __name__ == "__main__":
    train()
