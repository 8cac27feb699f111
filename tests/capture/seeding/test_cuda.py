"""Tests on a real GPU: its description, generators, hazard, and replays. Skipped on machines without one."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import pytest
from project import Project


def _has_gpu() -> bool:
    if shutil.which("nvidia-smi") is None:
        return False
    said = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True)
    return said.returncode == 0 and "GPU 0" in said.stdout


pytestmark = pytest.mark.skipif(not _has_gpu(), reason="no NVIDIA GPU here")

NETWORK = """
    import torch
    from recorder import log, record, save

    @record
    def train(width: int = 64, steps: int = 60, lr: float = 0.05, seed: int = 0):
        model = torch.nn.Sequential(
            torch.nn.Conv2d(1, width, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Dropout(0.2),
            torch.nn.Linear(width * 36, 10),
        ).cuda()
        optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
        x = torch.randn(256, 1, 8, 8, device="cuda")
        y = torch.randint(10, (256,), device="cuda")
        for step in range(steps):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            log(step=step, loss=loss)
        torch.save(model.state_dict(), "model.pt")
        save("model.pt")
        return {"loss": loss.detach(), "logits": model.eval()(x).detach()}

    if __name__ == "__main__":
        train()
"""

ATOMICS = """
    import torch
    from recorder import record, save

    @record
    def scatter(count: int = 4_000_000, seed: int = 0):
        index = torch.randint(7, (count,), device="cuda")
        values = torch.randn(count, device="cuda")
        total = torch.zeros(7, device="cuda").index_add_(0, index, values)
        return total

    if __name__ == "__main__":
        scatter()
"""


def gpu_hazards(record: dict[str, Any]) -> list[str]:
    """Return the details of the record's GPU hazards."""
    return [str(one["kind"]) for one in record["hazards"] if one["kind"] == "GPU"]


def test_a_training_replays(project: Project) -> None:
    """A training with deterministic algorithms replays byte for byte, and the record names the GPU."""
    project.write("net.py", NETWORK)
    project.recorder("run", "net.py:train", "--deterministic")
    record = project.show(1)
    assert not gpu_hazards(record)
    said = json.loads(project.recorder("env", "1", "--json").stdout)
    assert said["platform"]["gpu"][0]["model"] and said["platform"]["gpu"][0]["driver"]
    text = project.recorder("env", "1").stdout
    assert said["platform"]["gpu"][0]["model"] in text and "CUDA" in text
    done = project.recorder("replay", "1")
    assert "reproduced" in done.stdout and "different" not in done.stdout


def test_what_came_from_the_gpu_is_read_without_one(project: Project) -> None:
    """Tensors from a GPU can be compared, loaded, and shown where no GPU is visible."""
    project.write("net.py", NETWORK)
    project.recorder("run", "net.py:train", "steps=3")
    project.recorder("run", "net.py:train", "steps=3", "lr=0.01")
    blind = {"CUDA_VISIBLE_DEVICES": ""}
    found = project.recorder("diff", "1", "2", status=1, env=blind).stdout
    assert "logits" in found and "model.pt" in found
    code = """
        from recorder import Store
        one = Store()[1]
        result = one.result()
        assert result["logits"].device.type == "cpu" and result["logits"].shape == (256, 10)
        assert one.output("model.pt").load()["0.weight"].device.type == "cpu"
    """
    project.write("read.py", code)
    project.python("read.py", env=blind)


def test_generators_of_the_gpu(project: Project) -> None:
    """The seed decides PyTorch's draws on the GPU, and its generator is restored, whether or not CUDA was initialized."""
    project.write(
        "draw.py",
        """
        import sys
        import torch
        from recorder import record

        @record
        def draw(seed: int = 3):
            return torch.rand(3, device="cuda").tolist()

        torch.manual_seed(99)
        if sys.argv[1] == "begun":
            torch.zeros(1, device="cuda")
        first, second, other = draw(), draw(), draw(seed=4)
        assert first == second != other
        here = torch.rand(2, device="cuda").tolist()
        torch.manual_seed(99)
        assert torch.rand(2, device="cuda").tolist() == here
        """,
    )
    project.python("draw.py", "begun")
    project.python("draw.py", "fresh")
    assert "reproduced" in project.recorder("replay", "4").stdout


def test_cupy_and_jax(project: Project) -> None:
    """CuPy's generator is planted and restored, and jax_key() repeats its keys."""
    pytest.importorskip("cupy")
    pytest.importorskip("jax")
    project.write(
        "draw.py",
        """
        import cupy
        import jax
        from recorder import jax_key, record

        @record
        def draw(seed: int = 3):
            return cupy.random.rand(3).tolist(), jax.random.normal(jax_key(), (3,)).tolist()

        cupy.random.seed(99)
        assert draw() == draw() != draw(seed=4)
        here = float(cupy.random.rand())
        cupy.random.seed(99)
        assert float(cupy.random.rand()) == here
        """,
    )
    project.python("draw.py", env={"XLA_PYTHON_CLIENT_PREALLOCATE": "false"})
    assert "reproduced" in project.recorder("replay", "1").stdout


def test_atomics(project: Project) -> None:
    """Atomic sums are a hazard, and --explain finds that deterministic algorithms make them stable."""
    project.write("atomics.py", ATOMICS)
    project.recorder("run", "atomics.py:scatter")
    assert gpu_hazards(project.show(1)) == ["GPU"]
    done = project.recorder("replay", "1", "--explain", status=None)
    assert done.returncode == 1 and "diverged" in done.stdout, done.stdout
    assert "may be due to: GPU" in done.stdout
    assert "deterministic algorithms" in done.stdout.partition("explained by")[2], done.stdout


def test_precision(project: Project) -> None:
    """`recorder diff` names a different precision of matrix products on the GPU."""
    project.write(
        "product.py",
        """
        import sys
        import torch
        from recorder import record

        @record
        def product(n: int = 512):
            a = torch.randn(n, n, device="cuda")
            return (a @ a)[0, :4]

        torch.set_float32_matmul_precision(sys.argv[1])
        product()
        """,
    )
    project.python("product.py", "highest")
    project.python("product.py", "high")
    found = project.recorder("diff", "1", "2", status=1).stdout
    assert "torch.backends.cuda.matmul" in found and "result" in found
