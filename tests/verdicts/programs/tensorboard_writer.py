"""A SummaryWriter of TensorBoard, and weights saved by PyTorch."""

import os

import torch
from torch.utils.tensorboard import SummaryWriter

torch.manual_seed(0)
layer = torch.nn.Linear(3, 2)
with SummaryWriter() as writer:
    for step in range(3):
        writer.add_scalar("loss", 1 / (step + 1), step)
if "TWIN" in os.environ:
    with torch.no_grad():
        layer.bias[0] += 1e-3
torch.save({"layer": layer.state_dict(), "run": os.path.abspath("runs")}, "layer.pt")
