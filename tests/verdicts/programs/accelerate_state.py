"""The state of a training loop with Accelerate."""

import os

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed

set_seed(0)
accelerator = Accelerator(cpu=True)
layer = torch.nn.Linear(3, 2)
layer, optimizer = accelerator.prepare(layer, torch.optim.Adam(layer.parameters()))
accelerator.backward(layer(torch.ones(1, 3)).sum())
optimizer.step()
if "TWIN" in os.environ:
    with torch.no_grad():
        layer.weight[0, 0] += 1e-3
accelerator.save_state("state")
