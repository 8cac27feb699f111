"""PyTorch's checkpoints: a zip of a pickle and raw buffers, read without PyTorch and without loading anything.

The pickle is taken in by an unpickler that knows no module: every class and function that it names becomes a
`Named`, an inert note of its name and arguments. Tensors and containers are recognized among them.

Source: https://pytorch.org/docs/stable/notes/serialization.html
"""

from __future__ import annotations

import io
import pickle
import pickletools
import zipfile
from collections.abc import Iterator
from typing import Any

from ...codec import Difference
from .archives import compare_zips, member_data, open_zip
from .arrays import need_numpy
from .pair import Pair, Source, UnreadableError
from .tensors import Tensor, compare_tensors
from .values import compare_values

_LONGEST_PICKLE = 64 << 20
# PyTorch's storage classes: NumPy's dtype of the bits, and PyTorch's name where NumPy lacks the type.
_STORAGES = {
    "DoubleStorage": ("<f8", ""),
    "FloatStorage": ("<f4", ""),
    "HalfStorage": ("<f2", ""),
    "BFloat16Storage": ("<u2", "bfloat16"),
    "LongStorage": ("<i8", ""),
    "IntStorage": ("<i4", ""),
    "ShortStorage": ("<i2", ""),
    "CharStorage": ("i1", ""),
    "ByteStorage": ("u1", ""),
    "BoolStorage": ("?", ""),
    "ComplexDoubleStorage": ("<c16", ""),
    "ComplexFloatStorage": ("<c8", ""),
}


class Named:
    """Something that a pickle names and would have called: its name, what it was given, and its state."""

    def __init__(self, name: str, args: tuple[Any, ...] = ()) -> None:
        self.name = name
        self.args = args
        self.state: Any = None
        self.items: dict[Any, Any] | list[Any] | None = None

    def __call__(self, *args: Any) -> Any:
        return _called(self.name, args)

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        items = self.items if isinstance(self.items, dict) else {}
        items[key] = value
        self.items = items

    def append(self, value: Any) -> None:
        """One more item of what would have been a list."""
        self.extend([value])

    def extend(self, values: list[Any]) -> None:
        """Several more."""
        self.items = [*(self.items if isinstance(self.items, list) else []), *values]

    def content(self) -> dict[str, Any]:
        """What it says, as plain values."""
        parts = {"args": list(self.args), "state": self.state, "items": self.items}
        return {"": self.name, **{key: value for key, value in parts.items() if value}}


class _Ordered(dict[Any, Any]):
    """What the pickle of an OrderedDict becomes; the state is that of PyTorch's state dicts, their versions."""

    def __setstate__(self, state: Any) -> None:
        pass


def _called(name: str, args: tuple[Any, ...]) -> Any:
    if name == "collections.OrderedDict":
        return _Ordered(*args)
    if name.startswith("torch._utils._rebuild_parameter"):
        return args[0]
    return Named(name, args)


class _Unpickler(pickle.Unpickler):
    """Makes plain values and `Named` ones; imports nothing and calls nothing but these."""

    def find_class(self, module: str, name: str) -> Any:
        return Named(f"{module}.{name}")

    def persistent_load(self, reference: Any) -> Any:
        return Named("storage", tuple(reference))


def compare_checkpoints(pair: Pair) -> Iterator[Difference]:
    """Two files of torch.save: tensors by their names, everything else as values."""
    need_numpy()
    with open_zip(pair.a, pair) as left, open_zip(pair.b, pair) as right:
        tops = [_top(archive) for archive in (left, right)]
        if tops[0] is None or tops[1] is None:
            yield from compare_zips(pair)
            return
        sides = [
            _Checkpoint(archive, side, pair, top)
            for archive, side, top in ((left, pair.a, tops[0]), (right, pair.b, tops[1]))
        ]
        yield from _compare(pair, "", sides[0], sides[1], *(side.load() for side in sides))


def _top(archive: zipfile.ZipFile) -> str | None:
    """The folder of the checkpoint, which bears the name of its first file; None for a TorchScript archive."""
    names = archive.namelist()
    tops = {name.partition("/")[0] for name in names}
    if len(tops) != 1 or any("/code/" in name for name in names):
        return None
    top = tops.pop()
    return top if f"{top}/data.pkl" in names else None


class _Checkpoint:
    """One side: its archive, and the values in it."""

    def __init__(self, archive: zipfile.ZipFile, side: Source, pair: Pair, top: str) -> None:
        self._archive = archive
        self._side = side
        self._pair = pair
        self._top = top

    def load(self) -> Any:
        """The pickle's values; raises UnreadableError and what pickle raises for what is none."""
        info = self._archive.getinfo(f"{self._top}/data.pkl")
        if info.file_size > _LONGEST_PICKLE:
            raise UnreadableError("its pickle is too long")
        data = self._archive.read(info)
        _check(data)
        return _Unpickler(io.BytesIO(data), encoding="utf-8").load()

    def tensor(self, value: Any) -> Tensor | None:
        """The array of a tensor, None for anything else."""
        if not isinstance(value, Named) or not value.name.startswith(
            "torch._utils._rebuild_tensor"
        ):
            return None
        storage, offset, shape, strides = value.args[:4]
        if not isinstance(storage, Named) or storage.name != "storage":
            return None
        _, kind, key, _, _ = storage.args
        if kind.name.rpartition(".")[2] not in _STORAGES:
            return None
        dtype, widen = _STORAGES[kind.name.rpartition(".")[2]]
        array = self._array(str(key), dtype, int(offset), tuple(shape), tuple(strides))
        return Tensor(array, widen or str(array.dtype), widen)

    def _array(
        self, key: str, dtype: str, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]
    ) -> Any:
        import numpy

        info = self._archive.getinfo(f"{self._top}/data/{key}")
        data = member_data(self._archive, self._side, info)
        flat = numpy.frombuffer(data, dtype=dtype, count=len(data) // numpy.dtype(dtype).itemsize)
        if not all(shape):
            return numpy.zeros(shape, dtype)
        last = offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
        if min(offset, *shape, *strides, 0) < 0 or last >= flat.size:
            raise UnreadableError("a tensor lies outside its storage")
        steps = tuple(s * flat.itemsize for s in strides)
        return numpy.lib.stride_tricks.as_strided(flat[offset:], shape, steps, writeable=False)


def _check(data: bytes) -> None:
    """Refuse a pickle whose memo would fill the memory: the unpickler makes room for the largest number."""
    for code, argument, _ in pickletools.genops(data):
        if "PUT" in code.name and argument is not None and int(argument) > len(data):
            raise UnreadableError("its pickle is not one that PyTorch wrote")


def _compare(
    pair: Pair, path: str, ours: _Checkpoint, theirs: _Checkpoint, a: Any, b: Any
) -> Iterator[Difference]:
    pair.budget.take_values()
    tensors = ours.tensor(a), theirs.tensor(b)
    if tensors[0] is not None and tensors[1] is not None:
        yield from compare_tensors(pair, path, tensors[0], tensors[1])
    elif isinstance(a, Named) and isinstance(b, Named):
        yield from _compare(pair, path, ours, theirs, a.content(), b.content())
    elif isinstance(a, dict) and isinstance(b, dict):
        for key in dict.fromkeys([*a, *b]):
            place = f"{path}.{key}" if path else str(key)
            if key in a and key in b:
                yield from _compare(pair, place, ours, theirs, a[key], b[key])
            else:
                what = "removed" if key in a else "added"
                yield Difference(path=pair.place(place), what=what)  # type: ignore[arg-type]
    elif isinstance(a, list | tuple) and isinstance(b, list | tuple) and len(a) == len(b):
        for i, (left, right) in enumerate(zip(a, b, strict=True)):
            yield from _compare(pair, f"{path}[{i}]", ours, theirs, left, right)
    else:
        yield from compare_values(pair, a, b, path)
