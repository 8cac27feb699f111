"""Detect whether the program has seeded a global generator itself, and write its state down as a string.

Recording must not change the results of a program. A generator that the program has seeded keeps its state, which is
recorded and restored in a replay; only generators that nobody has seeded are planted with the run's seed.
"""

from __future__ import annotations

import base64
import functools
import random
import struct
import zlib
from collections.abc import Callable, Sequence
from typing import Any

from . import baseline

# The Mersenne Twister of `random` and `numpy.random`: its size in words, and the first word of a newly seeded state.
_WORDS, _FIRST = 624, 0x80000000
_MASK = 0xFFFFFFFF
# random.seed() without an argument uses a key of 624 words. The words of a shorter key repeat when it is mixed in:
# this many words show that for keys of up to 1,600 bits.
_WINDOW = 100
# How many refills of the state are undone in search of a seed: 0.4 ms each, once in a process.
_MOST_STEPS_BACK = 64
# How many refills of the state (of 624 words) are searched for draws that lead from one state to another: 3 ms.
_MOST_REFILLS = 256
# torch.initial_seed() is a random number of 64 bits, or the default seed, unless the program has seeded it.
_LARGEST_TORCH_SEED = 2**40


class _Python:
    """The knowledge about `random`, whose state alone does not tell draws from seeds."""

    def __init__(self) -> None:
        self._is_seeded = False
        state: Any = baseline.random_state
        self._was_new = state is not None and _is_new(state)
        is_unseeded = self._was_new and not _has_short_key(state[1])
        self._unseeded = state if is_unseeded else None

    def check(self) -> bool:
        """Return whether the program has seeded `random`; once it has, it counts as seeded for good.

        If too many numbers were drawn to find that out, it counts as seeded, unless there were draws before recorder
        was imported: those are a notebook's or a test runner's.
        """
        state = random.getstate()
        if not self._is_seeded:
            if _is_new(state):
                self._is_seeded = _has_short_key(state[1])
            elif self._unseeded is None or not _is_reached(self._unseeded, state):
                self._is_seeded = self._was_new or _comes_from_short_key(state[1])
            if not self._is_seeded:
                self._unseeded = state
        return self._is_seeded


_python: _Python | None = None


def has_seeded_python(module: Any) -> bool:
    """Return whether the program has seeded `random`, or whether that cannot be known."""
    global _python
    if _python is None:
        _python = _Python()
    return _python.check()


def _is_new(state: Any) -> bool:
    """Return whether nothing has been drawn since the state was seeded."""
    words = state[1]
    return bool(words[-1] == _WORDS and words[0] == _FIRST)


def _has_short_key(words: Sequence[int]) -> bool:
    """Return whether a newly seeded state comes from a key of few words, as that of any number or short string does.

    This inverts init_by_array of the reference implementation for a window of words: the second mixing loop, then the
    first, which adds key[j] + j to each word. Both need only the word before.
    http://www.math.sci.hiroshima-u.ac.jp/m-mat/MT/MT2002/emt19937ar.html
    """
    first, last = _WORDS - _WINDOW, _WORDS
    mixed = {i: _unmix(words[i], words[i - 1], 1566083941, i) for i in range(first - 1, last)}
    start = _start()
    keys = [
        (mixed[i] - (start[i] ^ _step(mixed[i - 1], 1664525))) & _MASK for i in range(first, last)
    ]
    return any(keys[period:] == keys[:-period] for period in range(1, _WINDOW // 2))


def _step(before: int, factor: int) -> int:
    return ((before ^ (before >> 30)) * factor) & _MASK


def _unmix(word: int, before: int, factor: int, index: int) -> int:
    return ((word + index) & _MASK) ^ _step(before, factor)


@functools.lru_cache(maxsize=1)
def _start() -> tuple[int, ...]:
    words = [19650218]
    for i in range(1, _WORDS):
        words.append((_step(words[-1], 1812433253) + i) & _MASK)
    return tuple(words)


def _comes_from_short_key(words: Sequence[int]) -> bool:
    """Return whether the state was drawn, over at most so many refills, from a newly seeded one with a short key."""
    before = list(words[:_WORDS])
    for _ in range(_MOST_STEPS_BACK):
        before = _previous(before)
        if _has_short_key(before):
            return True
    return False


def _previous(words: list[int]) -> list[int]:
    """Return the state from which a refill made `words`; the lower bits of its first word are arbitrary."""
    words = list(words)
    for i in reversed(range(_WORDS)):
        high = words[i] ^ words[i - _WORDS + 397]
        if high & _FIRST:
            high ^= 0x9908B0DF
        low = words[i - 1] ^ words[i - _WORDS + 396]
        bit = 0
        if low & _FIRST:
            low, bit = low ^ 0x9908B0DF, 1
        words[i] = (high << 1 & _FIRST) | (low << 1 & 0x7FFFFFFF) | bit
    return words


def _is_reached(start: Any, state: Any) -> bool:
    """Return whether draws alone lead from one state of `random` to the other."""
    generator = random.Random()
    generator.setstate(start)
    words, position = state[1][:_WORDS], state[1][_WORDS]
    for _ in range(_MOST_REFILLS):
        now = generator.getstate()[1]
        if now[:_WORDS] == words:
            return bool(now[_WORDS] <= position)
        generator.getrandbits(32 * (_WORDS - now[_WORDS] + 1))
    return False


def has_seeded_numpy(module: Any) -> bool:
    """Return whether the program has seeded `numpy.random`: seeding drops the SeedSequence of its bit generator."""
    bits = module.mtrand._rand._bit_generator
    sequence = getattr(bits, "seed_seq", getattr(bits, "_seed_seq", None))
    if sequence is None:
        return True
    key, position = bits.state["state"]["key"], bits.state["state"]["pos"]
    if key[0] != _FIRST or position < _WORDS - 1:
        return False
    return not (module.MT19937(sequence).state["state"]["key"] == key).all()


def has_seeded_torch(module: Any) -> bool:
    """Return whether the program has seeded PyTorch."""
    return bool(module.initial_seed() < _LARGEST_TORCH_SEED)


def pack_python(state: Any) -> str:
    """Return a state of `random` as a string."""
    version, words, gauss = state
    return _pack(struct.pack("<I625Id", version, *words, float("nan") if gauss is None else gauss))


def unpack_python(text: str, module: Any) -> Any:
    """Return the state of `random` that was packed."""
    version, *words, gauss = struct.unpack("<I625Id", _unpack(text))
    return version, tuple(words), None if gauss != gauss else gauss


def pack_numpy(state: Any) -> str:
    """Return a state of `numpy.random` as a string. Raises ValueError unless it is one of the Mersenne Twister."""
    name, key, position, has_gauss, gauss = state
    if name != "MT19937":
        raise ValueError(f"its bit generator is {name}, not MT19937")
    return _pack(struct.pack("<624I2Id", *map(int, key), position, has_gauss, gauss))


def unpack_numpy(text: str, module: Any) -> Any:
    """Return the state of `numpy.random` that was packed."""
    from numpy import array, uint32

    *key, position, has_gauss, gauss = struct.unpack("<624I2Id", _unpack(text))
    return "MT19937", array(key, dtype=uint32), position, has_gauss, gauss


def pack_torch(state: Any) -> str:
    """Return the states of PyTorch's generators, of the processor and of each GPU in use, as a string."""
    cpu, cuda = state
    devices = [one.numpy().tobytes() for one in cuda] if isinstance(cuda, list) else []
    seed = cuda if isinstance(cuda, int) else 0
    parts = [cpu.numpy().tobytes(), *devices]
    return _pack(
        struct.pack(
            f"<Q?I{len(parts)}I", seed % 2**64, isinstance(cuda, int), len(parts), *map(len, parts)
        )
        + b"".join(parts)
    )


def unpack_torch(text: str, module: Any) -> Any:
    """Return the states of PyTorch's generators that were packed; without a GPU those of GPUs are left out."""
    data = _unpack(text)
    seed, has_seed, count = struct.unpack_from("<Q?I", data)
    at = struct.calcsize("<Q?I")
    lengths = struct.unpack_from(f"<{count}I", data, at)
    at += 4 * count
    parts = []
    for length in lengths:
        parts.append(module.frombuffer(bytearray(data[at : at + length]), dtype=module.uint8))
        at += length
    if has_seed:
        return parts[0], seed
    cuda = getattr(module, "cuda", None)
    fits = cuda is not None and cuda.is_available() and cuda.device_count() == count - 1
    return parts[0], parts[1:] if count > 1 and fits else None


def _pack(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data, 9)).decode()


def _unpack(text: str) -> bytes:
    return zlib.decompress(base64.b64decode(text))


# Called with the name of a generator when the program seeds it, during runs: see `recorder.capture.seeding.seed`.
on_seed: Callable[[str], None] | None = None
_MARK = "__recorder_seeds__"


def tap_seeding(module: Any, attribute: str, name: str) -> None:
    """Replace the seeding function of a module by one that reports its calls."""
    seed = getattr(module, attribute)
    if hasattr(seed, _MARK):
        return

    @functools.wraps(seed)
    def reporting(*args: Any, **kwargs: Any) -> Any:
        if on_seed is not None:
            on_seed(name)
        return seed(*args, **kwargs)

    setattr(reporting, _MARK, seed)
    setattr(module, attribute, reporting)


def untapped(seed: Callable[..., Any]) -> Callable[..., Any]:
    """Return the seeding function without the report."""
    plain: Callable[..., Any] = getattr(seed, _MARK, seed)
    return plain
