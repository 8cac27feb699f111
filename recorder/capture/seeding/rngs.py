"""The process-wide random generators: for each one its module, and functions to plant a seed and to restore it."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from .determinism import fix_torch, read_torch, restore_torch
from .entropy import tap_bits, tap_system
from .program_seeds import (
    has_seeded_numpy,
    has_seeded_python,
    has_seeded_torch,
    pack_numpy,
    pack_python,
    pack_torch,
    tap_seeding,
    unpack_numpy,
    unpack_python,
    unpack_torch,
    untapped,
)


class States(NamedTuple):
    """Functions for a generator that the program may have seeded: detect that, and write its state as a string."""

    is_seeded: Callable[[Any], bool]
    pack: Callable[[Any], str]
    unpack: Callable[[str, Any], Any]


class Generator(NamedTuple):
    """A process-wide generator: its module, and functions to plant, capture, and restore its state.

    Each function takes the module as its first argument. `listed` is False for a state that is not a generator, but is
    planted and restored with them. `states` is None for a generator that is always planted.
    """

    name: str
    module: str
    plant: Callable[[Any, int], object]
    capture: Callable[[Any], Any]
    restore: Callable[[Any, Any], object]
    listed: bool = True
    states: States | None = None


def _plant_torch(torch: Any, seed: int) -> None:
    # This accepts 64 bits, and seeds CUDA generators too, including those of devices not yet used.
    untapped(torch.manual_seed)(seed % 2**63)


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


# NumPy's RandomState takes 32 bits, so a larger or negative seed is taken modulo 2**32. CuPy is the same.
GENERATORS: tuple[Generator, ...] = (
    Generator(
        "random",
        "random",
        lambda random, seed: untapped(random.seed)(seed),
        lambda random: random.getstate(),
        lambda random, state: random.setstate(state),
        states=States(has_seeded_python, pack_python, unpack_python),
    ),
    Generator(
        "numpy",
        "numpy.random",
        # The state that seed() would set, which would also drop the mark of an unseeded generator.
        lambda random, seed: random.set_state(random.RandomState(seed % 2**32).get_state()),
        lambda random: random.get_state(),
        lambda random, state: random.set_state(state),
        states=States(has_seeded_numpy, pack_numpy, unpack_numpy),
    ),
    Generator(
        "torch",
        "torch",
        _plant_torch,
        _capture_torch,
        _restore_torch,
        states=States(has_seeded_torch, pack_torch, unpack_torch),
    ),
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


def _seeding_tap(name: str, module: str, attribute: str) -> Generator:
    return Generator(
        f"seeding of {name}",
        module,
        lambda module, seed: tap_seeding(module, attribute, name),
        lambda module: getattr(module, attribute),
        lambda module, state: setattr(module, attribute, state),
        listed=False,
    )


# Replacements for sources of entropy, and for the functions that seed generators: see
# `recorder.capture.seeding.entropy` and `recorder.capture.seeding.program_seeds`.
TAPS: tuple[Generator, ...] = (
    _seeding_tap("random", "random", "seed"),
    _seeding_tap("numpy", "numpy.random", "seed"),
    _seeding_tap("torch", "torch", "manual_seed"),
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
