"""Random draws beyond the global generators: from the run's seed, and from the operating system.

NumPy objects created without a seed (`default_rng()`, `SeedSequence()`, `RandomState()`, each bit generator) take
their entropy from one function, `numpy.random.bit_generator.randbits`. During a run, that function is replaced: in
the run's context it returns bits derived from the run's seed, elsewhere the operating system's. Draws from
`os.urandom` (also by `secrets`, `uuid.uuid4`, `random.SystemRandom`) are counted but not changed.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from itertools import count
from types import FrameType
from typing import Any

from ...paths import PACKAGE

# Modules through which a program asks for system entropy. Their caller counts as the user.
_GO_BETWEENS = frozenset({"random", "secrets", "uuid"})
# It creates a generator and then sets its state.
_PICKLES = "numpy.random._pickle"
# A module's file name ("" in a notebook), a function's name, and a line, which are the same in a replay's workspace.
_Place = tuple[str, str, int]


class Streams:
    """The numbers that one run draws in its context, from its seed and from the operating system.

    `unseeded` counts NumPy generators that took their entropy from the seed, `spawned` generators of `spawn`, and
    `keys` JAX keys. `system` counts draws of system entropy by file and line.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._pid = os.getpid()
        self._ended = False
        # itertools.count is atomic, which matters because asyncio.to_thread takes the context into another thread.
        self._bits: dict[_Place, Iterator[int]] = {}
        self._spawns, self._folds = count(), count()
        self.unseeded = self.spawned = self.keys = 0
        self.system: Counter[tuple[str, int]] = Counter()
        self._outer = _in_force.get()
        _in_force.set(self)

    def end(self) -> None:
        """End these streams, so that the enclosing run's apply again."""
        self._ended = True
        if _in_force.get() is self:
            _in_force.set(self._outer)

    def pause(self) -> None:
        """Let the enclosing run's streams apply until `resume`."""
        if _in_force.get() is self:
            _in_force.set(self._outer)

    def resume(self) -> None:
        """Apply again, in this context."""
        if _in_force.get() is not self:
            self._outer = _in_force.get()
            _in_force.set(self)

    @property
    def outer(self) -> Streams | None:
        """These streams, or the enclosing run's if these have ended, or None in a forked child."""
        # A forked child inherits the counters, so all workers would draw the same numbers.
        return self._outer if self._ended else None if self._pid != os.getpid() else self

    def draw_bits(self, size: int, *, caller: FrameType) -> int:
        """Return `size` bits in place of the system's, different for each call and equal in a replay.

        Each place in the code has a separate stream. A library that draws during its import, which may happen
        earlier in a replay, does not shift the others.
        """
        # A function that was pickled by value has another file name in its code, but not in its globals.
        file = str(caller.f_globals.get("__file__") or "")
        place = (file.rpartition(os.sep)[2], caller.f_code.co_name, caller.f_lineno)
        n = next(self._bits.setdefault(place, count()))
        self.unseeded += _is_unseeded(caller)
        import hashlib  # with OpenSSL

        material = hashlib.shake_256(repr(("recorder unseeded", self._seed, place, n)).encode())
        return int.from_bytes(material.digest((size + 7) // 8), "little") & ((1 << size) - 1)

    def spawn(self) -> Any:
        """Return a NumPy Generator: call number n gives ``default_rng(SeedSequence(seed).spawn(n + 1)[n])``."""
        from numpy import random

        n = next(self._spawns)
        self.spawned = n + 1
        return random.default_rng(random.SeedSequence(self._seed % 2**64, spawn_key=(n,)))

    def fold_key(self) -> Any:
        """Return a JAX key: call number n gives ``fold_in(key(seed), n)``."""
        from jax import random  # type: ignore[import-not-found, unused-ignore]

        n = next(self._folds)
        self.keys = n + 1
        return random.fold_in(random.key(self._seed % 2**32), n)


_in_force: ContextVar[Streams | None] = ContextVar("recorder_streams", default=None)


def current_streams() -> Streams | None:
    """Return the streams of the run in this context, or None in other threads and in forked children."""
    streams = _in_force.get()
    while streams is not None and streams.outer is not streams:
        streams = streams.outer
    return streams


class _Bits:
    """A replacement for `randbits` that draws from the run's seed during a run."""

    def __init__(self, system: Callable[[int], int]) -> None:
        self._system = system

    def __call__(self, k: int) -> int:
        streams = current_streams()
        caller = sys._getframe(1)
        if streams is None or caller.f_globals.get("__name__") == _PICKLES:
            return self._system(k)
        return streams.draw_bits(k, caller=caller)


def _is_unseeded(caller: FrameType) -> bool:
    """Return True if the caller uses the entropy it draws: ``RandomState(3)`` draws some and drops it."""
    code, at = caller.f_code, caller.f_lasti
    return "RandomState" not in code.co_names or code.co_code[at + 1] == 0  # no arguments


# Called with each frame that draws system entropy, during runs: see `recorder.capture.hazards.observed`.
on_draw: Callable[[FrameType], None] | None = None


class _Counted:
    """A replacement for `os.urandom` that counts draws during a run."""

    def __init__(self, system: Callable[[int], bytes]) -> None:
        self._system = system

    def __call__(self, size: int, /) -> bytes:
        notify = on_draw  # read once: another thread may end the last run at this moment
        if notify is not None:
            notify(sys._getframe(1))
        streams = current_streams()
        caller = None if streams is None else _caller(sys._getframe(1))
        if streams is not None and caller is not None:
            streams.system[caller.f_code.co_filename, caller.f_lineno] += 1
        return self._system(size)


def _caller(frame: FrameType | None) -> FrameType | None:
    """Return the frame that asked for entropy, or None if it is recorder's own."""
    while frame is not None and frame.f_globals.get("__name__") in _GO_BETWEENS:
        frame = frame.f_back
    ours = frame is not None and frame.f_code.co_filename.startswith(PACKAGE)
    return None if ours else frame


def tap_bits(random: Any) -> None:
    """Replace the entropy source of `numpy.random`."""
    module = random.bit_generator
    if not isinstance(module.randbits, _Bits):
        module.randbits = _Bits(module.randbits)


def tap_system(module: Any, name: str) -> None:
    """Count the calls of `os.urandom` under the given name of `module`."""
    if not isinstance(getattr(module, name), _Counted):
        setattr(module, name, _Counted(getattr(module, name)))
