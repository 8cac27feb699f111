"""The seed of a run: draw one, plant it in every generator that there is, and put their states back afterwards.

A generator belongs to a module. Where the module is loaded, it is planted at once; where the run imports it, it is
planted as soon as the module has been executed.
"""

from __future__ import annotations

import os
import sys
import threading
import warnings
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, NamedTuple

from ...errors import RecorderWarning
from .determinism import is_deterministic
from .entropy import Streams
from .rngs import DETERMINISM, GENERATORS, TAPS, Generator


def draw_seed() -> int:
    """A fresh seed from the operating system, 0 <= seed < 2**31.

    31 bits, as it may be handed on to anything that takes a seed: NumPy and scikit-learn take 32 bits unsigned,
    C libraries behind them a signed int.
    """
    return int.from_bytes(os.urandom(4), "little") >> 1


class _Planted(NamedTuple):
    """A generator that was planted, and the state that it had before."""

    generator: Generator
    module: ModuleType
    state: Any


# The plantings in progress, in the order in which they were made: runs in threads and tasks overlap.
_in_progress: list[Planting] = []
_lock = threading.RLock()


def _renew_lock() -> None:
    """In a forked child: the thread that held it is not here."""
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


class Planting:
    """A seed that was planted; `names` are the generators that have it, `restore` puts their states back.

    `streams` are what this context draws from the seed meanwhile, and from the operating system.
    """

    def __init__(self, seed: int, generators: Sequence[Generator]) -> None:
        self._seed = seed
        self._states: list[_Planted] = []
        self.streams = Streams(seed)
        with _lock:
            _in_progress.append(self)
            self._finder = _PlantingFinder(self, self._plant_loaded(generators))
            sys.meta_path.insert(0, self._finder)

    def _plant_loaded(self, generators: Sequence[Generator]) -> dict[str, list[Generator]]:
        """Plant those whose modules are loaded; the others by their modules."""
        waiting: dict[str, list[Generator]] = {}
        for generator in generators:
            module = sys.modules.get(generator.module)
            if module is not None and not _is_half_made(module):
                self.plant(generator, module)
            else:
                waiting.setdefault(generator.module, []).append(generator)
        return waiting

    @property
    def names(self) -> tuple[str, ...]:
        """The generators that were planted, those of modules that were imported since included."""
        names = [one.generator.name for one in self._states if one.generator.listed]
        return (*names, "jax") if self.streams.keys else tuple(names)

    @property
    def drawn(self) -> dict[str, Any]:
        """What came of it, as a record's `Seed` names it."""
        streams = self.streams
        return {
            "generators": self.names,
            "unseeded": streams.unseeded,
            "spawned": streams.spawned,
            "system_draws": streams.system.total(),
        }

    def plant(self, generator: Generator, module: ModuleType) -> None:
        """Plant the seed in a generator whose module is loaded; one that refuses is warned about."""
        try:
            state = generator.capture(module)
            generator.plant(module, self._seed)
        except Exception as error:  # noqa: BLE001 - a broken or replaced library must not end the run
            _warn(f"the seed was not planted in {generator.name}: {error}")
        else:
            self._states.append(_Planted(generator, module, state))

    def restore(self) -> None:
        """Put every generator back to the state that it had before it was planted. A second call does nothing.

        A later planting that goes on keeps its generators, and puts this one's states back when it ends.
        """
        with _lock:
            if self._finder.ended:
                return
            self._finder.ended = True
            self.streams.end()
            if self._finder in sys.meta_path:
                sys.meta_path.remove(self._finder)
            at = _in_progress.index(self)
            later = _in_progress[at + 1 :]
            del _in_progress[at]
            for planted in self._states:
                if not any(one.inherit(planted) for one in later):
                    self._put_back(planted)

    def pause(self) -> None:
        """Let the generators be as they were before, until `resume` goes on where this one had got to."""
        with _lock:
            if not self._finder.ended and self in _in_progress:
                _in_progress.remove(self)
                self._finder.remove()
                self.streams.pause()
                self._swap()

    def resume(self) -> None:
        """Go on, after `pause`: as the last of those in progress."""
        with _lock:
            if not self._finder.ended and self not in _in_progress:
                _in_progress.append(self)
                self._swap()
                self.streams.resume()
                self._finder.insert()

    def _swap(self) -> None:
        """Exchange the generators' states for those that were put by."""
        for i, planted in enumerate(self._states):
            try:
                now = planted.generator.capture(planted.module)
            except Exception as error:  # noqa: BLE001 - a broken library must not end the run
                _warn(f"the generator of {planted.generator.name} was not put aside: {error}")
            else:
                self._put_back(planted)
                self._states[i] = planted._replace(state=now)

    def inherit(self, planted: _Planted) -> bool:
        """Put back `planted.state` in place of what was found here; whether this one has that generator."""
        for i, own in enumerate(self._states):
            if own.generator is planted.generator:
                self._states[i] = planted
                return True
        return False

    def _put_back(self, planted: _Planted) -> None:
        try:
            planted.generator.restore(planted.module, planted.state)
        except Exception as error:  # noqa: BLE001 - the experiment's own result must come out
            _warn(f"the generator of {planted.generator.name} was not put back: {error}")


def plant(seed: int) -> Planting:
    """Plant `seed` in every generator that is loaded, and in those that are imported before `restore`."""
    return Planting(seed, GENERATORS + TAPS + (DETERMINISM if is_deterministic() else ()))


def _is_half_made(module: ModuleType) -> bool:
    """Whether the module is being imported at this moment, by this thread or another."""
    spec = getattr(module, "__spec__", None)
    return bool(getattr(spec, "_initializing", False))


def _warn(message: str) -> None:
    warnings.warn(message, RecorderWarning, stacklevel=4)


class _PlantingFinder:
    """Finds the modules in `waiting` as the other finders do, and plants the seed when they have been executed."""

    def __init__(self, planting: Planting, waiting: dict[str, list[Generator]]) -> None:
        self._planting = planting
        self._waiting = waiting
        self.ended = False

    def remove(self) -> None:
        """See no imports until `insert`."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def insert(self) -> None:
        """See imports again; what was imported meanwhile is planted now."""
        for name in [name for name in self._waiting if name in sys.modules]:
            for generator in self._waiting.pop(name):
                self._planting.plant(generator, sys.modules[name])
        sys.meta_path.insert(0, self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec that the next finder has, its loader wrapped; None for any other module."""
        generators = None if self.ended else self._waiting.pop(fullname, None)
        if generators is None:
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            spec = find(fullname, path, target) if find is not None and finder is not self else None
            if spec is not None and spec.loader is not None:
                spec.loader = _PlantingLoader(spec.loader, self._planting, generators)
                return spec  # type: ignore[no-any-return]
        return None


class _PlantingLoader:
    """The module's own loader, with the planting behind it; everything else of it is the loader's."""

    def __init__(self, loader: Any, planting: Planting, generators: list[Generator]) -> None:
        self._loader = loader
        self._planting = planting
        self._generators = generators

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """The loader's."""
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        """The loader's, then the planting; the module keeps its own loader."""
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        for generator in self._generators:
            self._planting.plant(generator, module)
