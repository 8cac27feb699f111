"""A convolutional network with two DataLoader workers that augment images, resumed from a checkpoint each epoch."""

import random

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from recorder import log, record, save


class Shapes(Dataset):
    """Bars, crosses, and squares, shifted and blurred with noise by the generator of the worker that loads them."""

    def __init__(self, images: int):
        shapes = torch.zeros(4, 1, 8, 8)
        shapes[0, 0, 3:5] = shapes[1, 0, :, 3:5] = 1
        shapes[2] = torch.maximum(shapes[0], shapes[1])
        shapes[3, 0, 2:6, 2:6] = 1
        self.y = torch.randint(4, (images,))
        self.x = shapes[self.y] * torch.empty(images, 1, 1, 1).uniform_(0.3, 1)

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        image = torch.roll(self.x[i], random.randint(-1, 1), dims=-1)
        return image + 0.5 * torch.randn_like(image), self.y[i]


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
        )
        self.head = nn.Sequential(nn.Flatten(), nn.Dropout(0.3), nn.Linear(32 * 4 * 4, 4))

    def forward(self, x):
        return self.head(self.features(x))


def start(lr: float):
    """Return a network, its optimizer, and its schedule."""
    model = Network()
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
    return model, optimizer, torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)


@record
def train(lr: float = 0.01, epochs: int = 2, images: int = 192):
    data = Shapes(images)
    for epoch in range(epochs):
        parts = start(lr)
        if epoch:
            for part, state in zip(parts, torch.load("checkpoint.pt"), strict=True):
                part.load_state_dict(state)
        model, optimizer, schedule = parts
        model.train()
        for x, y in DataLoader(data, batch_size=32, shuffle=True, num_workers=2):
            loss = nn.functional.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            log(loss=loss, lr=optimizer.param_groups[0]["lr"])
        schedule.step()
        torch.save([part.state_dict() for part in parts], "checkpoint.pt")
    save("checkpoint.pt")
    model.eval()
    with torch.no_grad():
        right = model(data.x).argmax(1) == data.y
    return {"accuracy": right.float().mean().item()}


if __name__ == "__main__":
    train()
