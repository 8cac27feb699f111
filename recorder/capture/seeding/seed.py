"""The seed of a run: draw one, plant it in every random generator, and restore their states afterwards.

A generator belongs to a module. If the module is loaded, the seed is planted at once. If the run imports it, the seed
is planted as soon as the module has been executed. A generator that the program has seeded itself is left alone: its
state is recorded, and a replay restores it.
"""

from __future__ import annotations

import os
import sys
import threading
import warnings
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, NamedTuple

from ...errors import RecorderWarning
from . import program_seeds
from .determinism import is_deterministic
from .entropy import Streams
from .rngs import DETERMINISM, GENERATORS, TAPS, Generator


def draw_seed() -> int:
    """Return a new seed from the operating system, 0 <= seed < 2**31.

    It has 31 bits because the program may pass it to anything that takes a seed: NumPy and scikit-learn accept 32
    unsigned bits, and the C libraries behind them a signed int.
    """
    return int.from_bytes(os.urandom(4), "little") >> 1


class _Planted(NamedTuple):
    """A generator that was planted, with its state before."""

    generator: Generator
    module: ModuleType
    state: Any


# The plantings in progress, in the order of their creation. Runs in threads and tasks overlap.
_in_progress: list[Planting] = []
_lock = threading.RLock()


def _renew_lock() -> None:
    # In a forked child, the thread that held the lock does not exist.
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


def _note_seeding(name: str) -> None:
    for planting in tuple(_in_progress):
        planting.seeded.add(name)


program_seeds.on_seed = _note_seeding


class Planting:
    """A planted seed. `restore` puts the earlier states of the generators back.

    Attributes:
        streams: The draws of this context from the seed and from the operating system.
        kept: The packed states, by name, of the generators that the program had seeded; the seed is not planted there.
        seeded: The names of the generators that the program has seeded since. They keep their states at the end, as
            in a program that is not recorded.
    """

    def __init__(
        self,
        seed: int,
        generators: Sequence[Generator],
        *,
        kept: Mapping[str, str] | None = None,
        detect: bool = False,
    ) -> None:
        self._seed = seed
        self._states: list[_Planted] = []
        self._recorded = dict(kept or {})
        self._detect = detect
        self.kept: dict[str, str] = {}
        self.seeded: set[str] = set()
        self.streams = Streams(seed)
        with _lock:
            _in_progress.append(self)
            self._finder = _PlantingFinder(self, self._plant_loaded(generators))
            sys.meta_path.insert(0, self._finder)

    def _plant_loaded(self, generators: Sequence[Generator]) -> dict[str, list[Generator]]:
        """Plant the generators whose modules are loaded, and return the others by module."""
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
        """The names of the planted generators, including those of modules imported since."""
        listed = [one.generator.name for one in self._states if one.generator.listed]
        names = [name for name in listed if name not in self.kept]
        return (*names, "jax") if self.streams.keys else tuple(names)

    @property
    def drawn(self) -> dict[str, Any]:
        """The counts for a record's `Seed`."""
        streams = self.streams
        return {
            "generators": self.names,
            "kept": self.kept,
            "unseeded": streams.unseeded,
            "spawned": streams.spawned,
            "system_draws": streams.system.total(),
        }

    def plant(self, generator: Generator, module: ModuleType) -> None:
        """Plant the seed in a generator whose module is loaded, or restore its recorded state. If that fails, warn."""
        try:
            state = generator.capture(module)
            states, recorded = generator.states, self._recorded.get(generator.name)
            if states is not None and recorded is not None:
                generator.restore(module, states.unpack(recorded, module))
                self.kept[generator.name] = recorded
            elif states is not None and self._detect and self._is_programs(generator, module):
                self.kept[generator.name] = states.pack(state)
                return
            else:
                generator.plant(module, self._seed)
        except Exception as error:  # noqa: BLE001 - a broken or replaced library must not end the run
            _warn(f"the seed was not planted in {generator.name}: {error}")
        else:
            self._states.append(_Planted(generator, module, state))

    def _is_programs(self, generator: Generator, module: ModuleType) -> bool:
        """Return whether the program has seeded the generator itself, and not an enclosing run."""
        for planting in reversed(_in_progress):
            if generator.name in planting.kept:
                return True
            if any(own.generator is generator for own in planting._states):
                return generator.name in planting.seeded
        return generator.states is not None and generator.states.is_seeded(module)

    def restore(self) -> None:
        """Restore each generator to its state before the planting. A second call does nothing.

        A later planting that is still in progress keeps its generators, and restores these states when it ends.
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
                if planted.generator.name in self.seeded:
                    continue
                if not any(planting.inherit(planted) for planting in later):
                    self._put_back(planted)

    def pause(self) -> None:
        """Restore the earlier states until `resume`, which continues where this planting stopped."""
        with _lock:
            if not self._finder.ended and self in _in_progress:
                _in_progress.remove(self)
                self._finder.remove()
                self.streams.pause()
                self._swap()

    def resume(self) -> None:
        """Continue after `pause`, as the last planting in progress."""
        with _lock:
            if not self._finder.ended and self not in _in_progress:
                _in_progress.append(self)
                self._swap()
                self.streams.resume()
                self._finder.insert()

    def _swap(self) -> None:
        """Exchange the current states of the generators for the saved ones."""
        for i, planted in enumerate(self._states):
            if planted.generator.name in self.seeded:
                continue
            try:
                now = planted.generator.capture(planted.module)
            except Exception as error:  # noqa: BLE001 - a broken library must not end the run
                _warn(f"the generator of {planted.generator.name} was not saved: {error}")
            else:
                self._put_back(planted)
                self._states[i] = planted._replace(state=now)

    def inherit(self, planted: _Planted) -> bool:
        """Take over a state to restore at the end, and return True if this planting has that generator."""
        for i, own in enumerate(self._states):
            if own.generator is planted.generator:
                self._states[i] = planted
                return True
        return False

    def _put_back(self, planted: _Planted) -> None:
        try:
            planted.generator.restore(planted.module, planted.state)
        except Exception as error:  # noqa: BLE001 - the experiment's own result takes precedence
            _warn(f"the generator of {planted.generator.name} was not restored: {error}")


def plant(seed: int, *, kept: Mapping[str, str] | None = None, detect: bool = False) -> Planting:
    """Plant `seed` in every loaded generator, and in those imported before `restore`.

    Args:
        seed: The seed.
        kept: Packed states of generators by name, which are restored instead.
        detect: Leave generators alone that the program has seeded itself.
    """
    generators = GENERATORS + TAPS + (DETERMINISM if is_deterministic() else ())
    return Planting(seed, generators, kept=kept, detect=detect)


def program_states() -> dict[str, str]:
    """Return the packed states, by name, of the generators that the program has seeded itself."""
    with _lock:
        probe = Planting(0, (), detect=True)
        try:
            for generator in GENERATORS:
                module = sys.modules.get(generator.module)
                if generator.states is None or module is None or _is_half_made(module):
                    continue
                if probe._is_programs(generator, module):
                    probe.kept[generator.name] = generator.states.pack(generator.capture(module))
        finally:
            probe.restore()
        return probe.kept


def _is_half_made(module: ModuleType) -> bool:
    """Return True while the module is being imported, by this thread or another."""
    spec = getattr(module, "__spec__", None)
    return bool(getattr(spec, "_initializing", False))


def _warn(message: str) -> None:
    warnings.warn(message, RecorderWarning, stacklevel=4)


class _PlantingFinder:
    """An import finder that plants the seed in the `waiting` modules once they have been executed."""

    def __init__(self, planting: Planting, waiting: dict[str, list[Generator]]) -> None:
        self._planting = planting
        self._waiting = waiting
        self.ended = False

    def remove(self) -> None:
        """Ignore imports until `insert`."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def insert(self) -> None:
        """Handle imports again, and plant the seed in modules imported in the meantime."""
        for name in [name for name in self._waiting if name in sys.modules]:
            for generator in self._waiting.pop(name):
                self._planting.plant(generator, sys.modules[name])
        sys.meta_path.insert(0, self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the next finder's spec with its loader wrapped, or None for any other module."""
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
    """A module's own loader followed by the planting. All other attributes are the loader's."""

    def __init__(self, loader: Any, planting: Planting, generators: list[Generator]) -> None:
        self._loader = loader
        self._planting = planting
        self._generators = generators

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Create the module with its own loader."""
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Execute the module with its own loader, then plant the seed. The module keeps that loader."""
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        for generator in self._generators:
            self._planting.plant(generator, module)
