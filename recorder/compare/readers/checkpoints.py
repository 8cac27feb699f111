"""PyTorch checkpoints, which are zip archives of a pickle and raw buffers, read without PyTorch and without running
code.

The pickle is read by an unpickler that imports nothing: every class and function becomes an inert `Named` with its name
and arguments. Tensors and containers are recognized by these names.

Source: https://pytorch.org/docs/stable/notes/serialization.html
"""

from __future__ import annotations

import functools
import io
import pickle
import pickletools
import zipfile
from collections.abc import Iterator
from typing import Any

from ...codec import Difference
from ...codec.comparing import steady_keys
from .archives import compare_zips, member_data, open_zip
from .arrays import need_numpy
from .pair import ByteSource, Pair, UnreadableError, first_unlike
from .tensors import Tensor, compare_tensors
from .values import compare_values

_LONGEST_PICKLE = 64 << 20
_STORAGE = "a storage"
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


# The same for tensors that store their dtype instead of a storage class.
_TYPES = {
    "torch.float8_e4m3fn": ("u1", "float8_e4m3fn"),
    "torch.float8_e5m2": ("u1", "float8_e5m2"),
    "torch.uint16": ("<u2", ""),
    "torch.uint32": ("<u4", ""),
    "torch.uint64": ("<u8", ""),
}


class Named:
    """An inert stand-in for a class in a pickle (as a subclass) or for its instance.

    Attributes:
        name: Qualified name of the class or function.
        args: Arguments of the call.
        state: Argument of __setstate__.
        items: Items added by the pickle to a list or dict.
    """

    name = ""
    args: tuple[Any, ...]
    state: Any
    items: dict[Any, Any] | list[Any] | None

    def __new__(cls, *args: Any) -> Any:
        """Return the stand-in for a call: plain values for an OrderedDict and a parameter."""
        if cls.name == "collections.OrderedDict":
            return _Ordered(*args)
        if cls.name.startswith("torch._utils._rebuild_parameter"):
            return args[0]
        made = super().__new__(cls)
        made.args, made.state, made.items = args, None, None
        return made

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        items = self.items if isinstance(self.items, dict) else {}
        items[key] = value
        self.items = items

    def append(self, value: Any) -> None:
        """Add an item, as the pickle of a list does."""
        self.extend([value])

    def extend(self, values: list[Any]) -> None:
        """Add several items, as the pickle of a list does."""
        if not isinstance(self.items, list):
            self.items = []
        self.items.extend(values)

    def content(self) -> dict[str, Any]:
        """Return the name, arguments, state and items as plain values."""
        parts = {"args": list(self.args), "state": self.state, "items": self.items}
        return {"": self.name, **{key: value for key, value in parts.items() if value is not None}}


class _Ordered(dict[Any, Any]):
    """A stand-in for an OrderedDict; its state, PyTorch's version of the state dict, is ignored."""

    def __setstate__(self, state: Any) -> None:
        pass


class _Unpickler(pickle.Unpickler):
    """An unpickler that creates plain values and `Named` ones, and imports nothing."""

    def find_class(self, module: str, name: str) -> Any:
        return _named(f"{module}.{name}")

    def persistent_load(self, reference: Any) -> Any:
        return _named(_STORAGE)(*reference)


@functools.lru_cache(maxsize=10_000)
def _named(name: str) -> type[Named]:
    """Return the stand-in class of a name, the same for both sides, because it can be a key of a dict."""
    return type("Named", (Named,), {"name": name})


def _is_named(value: Any, name: str) -> bool:
    return isinstance(value, Named) and value.name.startswith(name)


def compare_checkpoints(pair: Pair) -> Iterator[Difference]:
    """Compare two files written by torch.save: tensors by name, other values by place."""
    need_numpy()
    with open_zip(pair.a, pair) as left, open_zip(pair.b, pair) as right:
        tops = [_top(archive) for archive in (left, right)]
        if tops[0] is None or tops[1] is None:
            yield from compare_zips(pair)
            return
        sides = [
            _Checkpoint(archive, side, pair, top)
            for archive, side, top in ((left, pair.a, tops[0]), (right, pair.b, tops[1]))
        ]  # fmt: skip
        yield from _CheckpointWalk(pair, *sides).walk(sides[0].load(), sides[1].load(), "")


def _top(archive: zipfile.ZipFile) -> str | None:
    """Return the top-level folder of a checkpoint; None for a TorchScript archive or another zip."""
    names = archive.namelist()
    tops = {name.partition("/")[0] for name in names}
    if len(tops) != 1 or any("/code/" in name for name in names):
        return None
    top = tops.pop()
    return top if f"{top}/data.pkl" in names else None


class _Checkpoint:
    """One of the two checkpoints."""

    def __init__(self, archive: zipfile.ZipFile, side: ByteSource, pair: Pair, top: str) -> None:
        self._archive = archive
        self._side = side
        self._pair = pair
        self._top = top

    def load(self) -> Any:
        """Return the values of the pickle; raise UnreadableError, or any error of pickle."""
        info = self._archive.getinfo(f"{self._top}/data.pkl")
        if info.file_size > _LONGEST_PICKLE:
            raise UnreadableError(f"the pickle is longer than {_LONGEST_PICKLE >> 20} MiB")
        if self._byteorder() != b"little":
            raise UnreadableError("the byte order is big-endian")
        data = self._archive.read(info)
        _check(data)
        return _Unpickler(io.BytesIO(data), encoding="utf-8").load()

    def _byteorder(self) -> bytes:
        name = f"{self._top}/byteorder"
        return self._archive.read(name) if name in self._archive.namelist() else b"little"

    def tensor(self, value: Any) -> Tensor | None:
        """Return the array of a tensor, or None for other values."""
        if not _is_named(value, "torch._utils._rebuild_tensor") or len(value.args) < 4:
            return None
        storage, offset, shape, strides = value.args[:4]
        # Metadata mark conjugates and similar views.
        is_view = any(isinstance(more, dict) and more for more in value.args[6:])
        if is_view or not _is_named(storage, _STORAGE):
            return None
        kinds = [getattr(kind, "name", "") for kind in (storage.args[1], *value.args[6:7])]
        known = _STORAGES.get(kinds[0].rpartition(".")[2]) or _TYPES.get(kinds[-1])
        if known is None:
            return None
        data = self.storage(storage)
        array = _strided(data, known[0], int(offset), tuple(shape), tuple(strides))
        return Tensor(array, known[1] or str(array.dtype), known[1])

    def storage(self, value: Named) -> memoryview:
        """Return the raw buffer of a storage."""
        info = self._archive.getinfo(f"{self._top}/data/{value.args[2]}")
        return member_data(self._archive, self._side, info)


def _strided(
    data: memoryview, dtype: str, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]
) -> Any:
    """Return the array in a storage without a copy, after checking that all elements are inside it."""
    import numpy

    flat = numpy.frombuffer(data, dtype=dtype, count=len(data) // numpy.dtype(dtype).itemsize)
    if min(offset, *shape, *strides, 0) < 0 or len(shape) != len(strides):
        raise UnreadableError("a tensor is outside its storage")
    if not all(shape):
        return numpy.zeros(shape, dtype)
    if offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True)) >= flat.size:
        raise UnreadableError("a tensor is outside its storage")
    steps = tuple(s * flat.itemsize for s in strides)
    return numpy.lib.stride_tricks.as_strided(flat[offset:], shape, steps, writeable=False)


def _check(data: bytes) -> None:
    """Refuse a pickle whose memo would fill the memory: the unpickler allocates space up to the largest index."""
    for code, argument, _ in pickletools.genops(data):
        if "PUT" in code.name and argument is not None and int(argument) > len(data):
            raise UnreadableError("the pickle was not written by PyTorch")


class _CheckpointWalk:
    """Compares the values of two checkpoints."""

    def __init__(self, pair: Pair, ours: _Checkpoint, theirs: _Checkpoint) -> None:
        self._pair = pair
        self._ours = ours
        self._theirs = theirs

    def walk(self, a: Any, b: Any, path: str) -> Iterator[Difference]:
        self._pair.budget.take_values()
        left, right = self._ours.tensor(a), self._theirs.tensor(b)
        if left is not None and right is not None:
            yield from compare_tensors(self._pair, path, left, right)
        elif _is_named(a, _STORAGE) and _is_named(b, _STORAGE):
            yield from self._walk_storages(a, b, path)
        elif isinstance(a, Named) and isinstance(b, Named):
            yield from self.walk(a.content(), b.content(), path)
        elif isinstance(a, dict) and isinstance(b, dict):
            yield from self._walk_dicts(a, b, path)
        elif isinstance(a, list | tuple) and type(a) is type(b) and len(a) == len(b):
            for i, (one, other) in enumerate(zip(a, b, strict=True)):
                yield from self.walk(one, other, f"{path}[{i}]")
        else:
            yield from compare_values(self._pair, _plain(a), _plain(b), path)

    def _walk_dicts(self, a: dict[Any, Any], b: dict[Any, Any], path: str) -> Iterator[Difference]:
        a, b = (steady_keys(self._pair.numbers, side, i) for i, side in enumerate((a, b)))
        for key in dict.fromkeys([*a, *b]):
            text = str(_plain(key))
            place = f"{path}.{text}" if path else text
            if key in a and key in b:
                yield from self.walk(a[key], b[key], place)
            elif key in a:
                yield Difference(
                    path=self._pair.place(place), what="removed", left=_describe(a[key])
                )
            else:
                yield Difference(
                    path=self._pair.place(place), what="added", right=_describe(b[key])
                )

    def _walk_storages(self, a: Named, b: Named, path: str) -> Iterator[Difference]:
        """Compare the raw buffers of tensors of an unknown kind."""
        at = first_unlike(self._ours.storage(a), self._theirs.storage(b))
        if at is not None:
            place = self._pair.place(f"{path}: byte {at}")
            yield Difference(path=place, note="a storage of an unknown kind, compared by bytes")


def _plain(value: Any) -> Any:
    """Return the name of a stand-in class, and other values unchanged."""
    return value.name if isinstance(value, type) and issubclass(value, Named) else value


def _describe(value: Any) -> str:
    name = getattr(value, "name", type(value).__name__)
    return "a tensor" if "_rebuild_tensor" in name else f"a {name}"
