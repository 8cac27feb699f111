"""A small recurrent network that learns to predict characters, and then generates a string."""

from pathlib import Path

import torch
from torch import nn

from recorder import log, record, rng

PARTS = ("the wind|a gull|our captain", "turns|cries|hauls|sings", "to the harbour|at dawn|below")


def write(sentences: int, generator):
    """Return sentences from a small grammar, one a line."""
    parts = [[generator.choice(part.split("|")) for part in PARTS] for _ in range(sentences)]
    return "\n".join(" ".join(words) for words in parts)


class Characters(nn.Module):
    """A predictor of the next character: an embedding, a gated recurrent unit, and a linear layer."""

    def __init__(self, characters: int, width: int):
        super().__init__()
        self.embedding = nn.Embedding(characters, 16)
        self.memory = nn.GRU(16, width, batch_first=True)
        self.head = nn.Linear(width, characters)

    def forward(self, x, state=None):
        out, state = self.memory(self.embedding(x), state)
        return self.head(out), state


def generate(model, alphabet, length: int):
    """Sample a string from the model, character by character."""
    at, state, sample = torch.zeros(1, 1, dtype=torch.long), None, ""
    with torch.no_grad():
        for _ in range(length):
            scores, state = model(at, state)
            at = torch.multinomial(scores[0, -1].softmax(0), 1).reshape(1, 1)
            sample += alphabet[at.item()]
    return sample


@record
def characters(steps: int = 30, rate: float = 0.3, width: int = 32, length: int = 80):
    torch.set_num_threads(1)  # faster for so small a network
    text = write(400, rng())
    alphabet = sorted(set(text))
    codes = torch.tensor([alphabet.index(c) for c in text])
    model = Characters(len(alphabet), width)
    speeds = [torch.zeros_like(p) for p in model.parameters()]
    for step in range(steps):
        starts = torch.randint(len(codes) - 33, (16, 1))
        batch = codes[starts + torch.arange(33)]
        scores, _ = model(batch[:, :-1])
        loss = nn.functional.cross_entropy(scores.flatten(0, 1), batch[:, 1:].flatten())
        slopes = torch.autograd.grad(loss, list(model.parameters()))
        with torch.no_grad():
            for weights, speed, slope in zip(model.parameters(), speeds, slopes, strict=True):
                weights -= rate * speed.mul_(0.9).add_(slope)
        log(step=step, loss=loss)
    Path("sample.txt").write_text(generate(model, alphabet, length))
    return model.state_dict()


if __name__ == "__main__":
    characters()
