"""Train a convolutional network in PyTorch on the digits, with a checkpoint per epoch from which a run can resume.

    recorder run examples/convnet.py:train epochs=3
    recorder run examples/convnet.py:train epochs=5 resume=outputs/epoch-3.pt
    recorder replay last

The script sets no seed: recorder seeds PyTorch's generator, and does so again in a replay. A checkpoint also contains
the state of the generator, so that a resumed run ends like an uninterrupted one.
"""

from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader, Subset, TensorDataset, random_split

from recorder import log, record, save

Images = Subset[tuple[torch.Tensor, ...]]


def make_model() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(16 * 4 * 4, 10),
    )


def save_checkpoint(path: Path, model: nn.Module, optimizer: Optimizer, epoch: int) -> None:
    path.parent.mkdir(exist_ok=True)
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save(state | {"epoch": epoch, "generator": torch.get_rng_state()}, path)
    save(path, name=f"{path.parent.name}/{path.name}")


def load_checkpoint(path: Path, model: nn.Module, optimizer: Optimizer) -> int:
    """Restore the state of a checkpoint; return its epoch."""
    state = torch.load(path)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    torch.set_rng_state(state["generator"])
    return int(state["epoch"])


def train_epoch(model: nn.Module, optimizer: Optimizer, data: Images, batch: int) -> None:
    model.train()
    for inputs, targets in DataLoader(data, batch_size=batch, shuffle=True):
        loss = nn.functional.cross_entropy(model(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        log(loss=loss)


def measure(model: nn.Module, data: Images) -> float:
    model.eval()
    inputs, targets = next(iter(DataLoader(data, batch_size=len(data))))
    return float((model(inputs).argmax(1) == targets).float().mean())


@record
def train(
    lr: float = 0.01,
    epochs: int = 2,
    batch: int = 64,
    images: int = 1797,
    resume: Path | None = None,
    seed: int = 0,
) -> dict[str, float]:
    """Train up to `epochs`, from the start or from the checkpoint `resume`."""
    pixels, labels = load_digits(return_X_y=True)
    x = torch.tensor(pixels[:images] / 16, dtype=torch.float32).reshape(-1, 1, 8, 8)
    fit, test = random_split(TensorDataset(x, torch.tensor(labels[:images])), [0.8, 0.2])

    model = make_model()
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    done = load_checkpoint(resume, model, optimizer) if resume else 0
    for epoch in range(done + 1, epochs + 1):
        train_epoch(model, optimizer, fit, batch)
        accuracy = measure(model, test)
        log(step=epoch, accuracy=accuracy)
        print(f"epoch {epoch}: accuracy {accuracy:.4f}")
        save_checkpoint(Path("outputs", f"epoch-{epoch}.pt"), model, optimizer, epoch)
    return {"accuracy": measure(model, test)}


if __name__ == "__main__":
    train()
