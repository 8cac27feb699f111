"""The process-wide random generators: for each one its module, and functions to plant a seed and to restore it."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from .determinism import fix_torch, read_torch, restore_torch
from .entropy import tap_bits, tap_system


class Generator(NamedTuple):
    """A process-wide generator: its module, and functions to plant, capture, and restore its state.

    Each function takes the module as its first argument. `listed` is False for a state that is not a generator, but is
    planted and restored with them.
    """

    name: str
    module: str
    plant: Callable[[Any, int], object]
    capture: Callable[[Any], Any]
    restore: Callable[[Any, Any], object]
    listed: bool = True


def _plant_torch(torch: Any, seed: int) -> None:
    # This accepts 64 bits, and seeds CUDA generators too, including those of devices not yet used.
    torch.manual_seed(seed % 2**63)


def _capture_torch(torch: Any) -> Any:
    cuda = getattr(torch, "cuda", None)
    if cuda is None:
        return torch.get_rng_state(), None
    states = cuda.get_rng_state_all() if cuda.is_initialized() else torch.initial_seed()
    return torch.get_rng_state(), states


# The result of torch.initial_seed() before a seed was planted.
_UNSEEDED_TORCH = 67280421310721


def _restore_torch(torch: Any, state: Any) -> None:
    torch.set_rng_state(state[0])
    before = state[1]
    if isinstance(before, list):
        torch.cuda.set_rng_state_all(before)
    elif before is not None and before != _UNSEEDED_TORCH:
        torch.cuda.manual_seed_all(before)  # a program that seeds PyTorch seeds its later devices
    elif before is not None:
        torch.cuda.seed_all()  # the state of a device that was never seeded


def _tensorflow_context() -> Any:
    """Return the internal context in which TensorFlow keeps its seed, or None. There is no public way to read it."""
    module = sys.modules.get("tensorflow.python.eager.context")
    return None if module is None else module.context()


def _capture_tensorflow(tensorflow: Any) -> Any:
    context = _tensorflow_context()
    own = getattr(context, "_rng", None)
    return getattr(context, "_seed", None), None if own is None else own.getstate()


def _restore_tensorflow(tensorflow: Any, state: tuple[int | None, Any]) -> None:
    seed, of_operations = state
    context = _tensorflow_context()
    if seed is not None:
        tensorflow.random.set_seed(seed)
        if of_operations is not None and context is not None:
            context._rng.setstate(of_operations)
    elif context is not None:
        # set_seed does not accept None; without a global seed, each operation draws one.
        context._seed, context._rng = None, random.Random()


# numpy.random.seed takes 32 bits, so a larger or negative seed is taken modulo 2**32. CuPy is the same.
GENERATORS: tuple[Generator, ...] = (
    Generator(
        "random",
        "random",
        lambda random, seed: random.seed(seed),
        lambda random: random.getstate(),
        lambda random, state: random.setstate(state),
    ),
    Generator(
        "numpy",
        "numpy.random",
        lambda random, seed: random.seed(seed % 2**32),
        lambda random: random.get_state(),
        lambda random, state: random.set_state(state),
    ),
    Generator("torch", "torch", _plant_torch, _capture_torch, _restore_torch),
    Generator(
        "tensorflow",
        "tensorflow",
        lambda tensorflow, seed: tensorflow.random.set_seed(seed % 2**63),
        _capture_tensorflow,
        _restore_tensorflow,
    ),
    # The state is an object that cupy.random.seed would change, so the run gets a new one.
    Generator(
        "cupy",
        "cupy",
        lambda cupy, seed: cupy.random.set_random_state(cupy.random.RandomState(seed % 2**32)),
        lambda cupy: cupy.random.get_random_state(),
        lambda cupy, state: cupy.random.set_random_state(state),
    ),
)

# Replacements for sources of entropy: see `recorder.capture.seeding.entropy`.
TAPS: tuple[Generator, ...] = (
    Generator(
        "numpy's entropy",
        "numpy.random",
        lambda random, seed: tap_bits(random),
        lambda random: random.bit_generator.randbits,
        lambda random, state: setattr(random.bit_generator, "randbits", state),
        listed=False,
    ),
    Generator(
        "os.urandom",
        "os",
        lambda os, seed: tap_system(os, "urandom"),
        lambda os: os.urandom,
        lambda os, state: setattr(os, "urandom", state),
        listed=False,
    ),
    Generator(
        "random.SystemRandom",
        "random",
        lambda random, seed: tap_system(random, "_urandom"),
        lambda random: random._urandom,
        lambda random, state: setattr(random, "_urandom", state),
        listed=False,
    ),
)

# For a process that was started for deterministic computation.
DETERMINISM: tuple[Generator, ...] = (
    Generator(
        "torch's determinism",
        "torch",
        lambda torch, seed: fix_torch(torch),
        read_torch,
        restore_torch,
        listed=False,
    ),
    # It cannot be undone: https://www.tensorflow.org/api_docs/python/tf/config/experimental/enable_op_determinism
    Generator(
        "tensorflow's determinism",
        "tensorflow",
        lambda tensorflow, seed: tensorflow.config.experimental.enable_op_determinism(),
        lambda tensorflow: None,
        lambda tensorflow, state: None,
        listed=False,
    ),
)
