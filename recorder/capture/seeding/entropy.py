"""What a run draws beyond the global generators: streams of its seed, and entropy of the operating system.

NumPy takes the entropy of whatever is made without a seed (`default_rng()`, `SeedSequence()`, `RandomState()`, each
bit generator) from one function, `numpy.random.bit_generator.randbits`. While a run is in progress it asks here
first: in the run's own context it is given bits of the run's seed, anywhere else the operating system's. What comes
from `os.urandom` (also by `secrets`, `uuid.uuid4`, `random.SystemRandom`) stays what it is, and is counted.
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

# Those through which a program asks for the system's entropy: what counts is who called them.
_GO_BETWEENS = frozenset({"random", "secrets", "uuid"})
# It makes a generator, whose state it sets then.
_PICKLES = "numpy.random._pickle"
# The name of a module's file ("" in a notebook), a function's, and a line: the same in a replay's workspace.
_Place = tuple[str, str, int]


class Streams:
    """The numbers that one run has drawn from its seed, in its own context, and from the operating system.

    `unseeded` counts NumPy's generators that took their entropy from the seed, `spawned` those that were asked for,
    `keys` JAX's keys; `system` counts draws of the operating system's entropy by file and line.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._pid = os.getpid()
        self._ended = False
        # itertools.count is atomic: asyncio.to_thread takes the context into another thread.
        self._bits: dict[_Place, Iterator[int]] = {}
        self._spawns, self._folds = count(), count()
        self.unseeded = self.spawned = self.keys = 0
        self.system: Counter[tuple[str, int]] = Counter()
        self._outer = _in_force.get()
        _in_force.set(self)

    def end(self) -> None:
        """The enclosing run's are in force again."""
        self._ended = True
        if _in_force.get() is self:
            _in_force.set(self._outer)

    def pause(self) -> None:
        """The enclosing run's are in force until `resume`."""
        if _in_force.get() is self:
            _in_force.set(self._outer)

    def resume(self) -> None:
        """In force again, in this context."""
        if _in_force.get() is not self:
            self._outer = _in_force.get()
            _in_force.set(self)

    @property
    def outer(self) -> Streams | None:
        """Those of the run around this one, where this one has ended or belongs to the parent process."""
        # A forked child has the parent's count: workers that want numbers of their own would all get the same.
        return self._outer if self._ended else None if self._pid != os.getpid() else self

    def draw_bits(self, size: int, *, caller: FrameType) -> int:
        """`size` bits in place of the system's: other ones each time, the same in a replay.

        Each place in the code has bits of its own: what a library draws when it is imported, which a replay may have
        imported before, shifts nobody else's.
        """
        # (A function that was pickled by value has another name for its code's file, but its globals' one.)
        file = str(caller.f_globals.get("__file__") or "")
        place = (file.rpartition(os.sep)[2], caller.f_code.co_name, caller.f_lineno)
        n = next(self._bits.setdefault(place, count()))
        self.unseeded += _is_unseeded(caller)
        import hashlib  # with OpenSSL

        said = hashlib.shake_256(repr(("recorder unseeded", self._seed, place, n)).encode())
        return int.from_bytes(said.digest((size + 7) // 8), "little") & ((1 << size) - 1)

    def spawn(self) -> Any:
        """A numpy Generator: ``default_rng(SeedSequence(seed).spawn(n + 1)[n])`` for the call number n."""
        from numpy import random

        n = next(self._spawns)
        self.spawned = n + 1
        return random.default_rng(random.SeedSequence(self._seed % 2**64, spawn_key=(n,)))

    def fold_key(self) -> Any:
        """A JAX key: ``fold_in(key(seed), n)`` for the call number n."""
        from jax import random  # type: ignore[import-not-found, unused-ignore]

        n = next(self._folds)
        self.keys = n + 1
        return random.fold_in(random.key(self._seed % 2**32), n)


_in_force: ContextVar[Streams | None] = ContextVar("recorder_streams", default=None)


def current_streams() -> Streams | None:
    """Those of the run that this code is part of; None in other threads, and in a child forked from it."""
    streams = _in_force.get()
    while streams is not None and streams.outer is not streams:
        streams = streams.outer
    return streams


class _Bits:
    """`randbits`, of the run's seed where there is a run."""

    def __init__(self, system: Callable[[int], int]) -> None:
        self._system = system

    def __call__(self, k: int) -> int:
        streams = current_streams()
        caller = sys._getframe(1)
        if streams is None or caller.f_globals.get("__name__") == _PICKLES:
            return self._system(k)
        return streams.draw_bits(k, caller=caller)


def _is_unseeded(caller: FrameType) -> bool:
    """Whether the entropy that the caller's call draws is used: ``RandomState(3)`` draws some, and drops it."""
    code, at = caller.f_code, caller.f_lasti
    return "RandomState" not in code.co_names or code.co_code[at + 1] == 0  # no arguments


# Told of the frame that draws the operating system's entropy, while somebody wants to know: see `.hazards`.
on_draw: Callable[[FrameType], None] | None = None


class _Counted:
    """`os.urandom`, counted where there is a run."""

    def __init__(self, system: Callable[[int], bytes]) -> None:
        self._system = system

    def __call__(self, size: int, /) -> bytes:
        tell = on_draw  # another thread may end the last run at this moment
        if tell is not None:
            tell(sys._getframe(1))
        streams = current_streams()
        caller = None if streams is None else _caller(sys._getframe(1))
        if streams is not None and caller is not None:
            streams.system[caller.f_code.co_filename, caller.f_lineno] += 1
        return self._system(size)


def _caller(frame: FrameType | None) -> FrameType | None:
    """Who asked; None where it was recorder itself."""
    while frame is not None and frame.f_globals.get("__name__") in _GO_BETWEENS:
        frame = frame.f_back
    ours = frame is not None and frame.f_code.co_filename.startswith(PACKAGE)
    return None if ours else frame


def tap_bits(random: Any) -> None:
    """Let `numpy.random` ask here for entropy."""
    module = random.bit_generator
    if not isinstance(module.randbits, _Bits):
        module.randbits = _Bits(module.randbits)


def tap_system(module: Any, name: str) -> None:
    """Count the calls of `module`'s name for `os.urandom`."""
    if not isinstance(getattr(module, name), _Counted):
        setattr(module, name, _Counted(getattr(module, name)))
