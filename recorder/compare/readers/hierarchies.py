"""HDF5 files, and NetCDF 4 files, read with h5py and compared by the paths of datasets and attributes."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

from ...codec import Difference
from ...codec.arrays import compare_arrays
from ...codec.differences import PLACE
from .arrays import need_numpy
from .pair import ByteSource, Pair, UnreadableError

_SHOWN = 60
# Attributes in which libraries such as NetCDF record their version.
_ABOUT_THE_WRITER = frozenset({"_NCProperties"})


def compare_hdf5(pair: Pair) -> Iterator[Difference]:
    """Compare groups, datasets, attributes and links; external links are not followed."""
    need_numpy()
    if find_spec("h5py") is None:
        raise UnreadableError("h5py is not installed")
    import h5py

    with _open(h5py, pair.a) as left, _open(h5py, pair.b) as right:
        ours, theirs = _tree(h5py, left), _tree(h5py, right)
        yield from _compare_attributes(pair, "", left, right)
        for name in sorted({*ours, *theirs}):
            place = pair.member(name)
            one, other = ours.get(name), theirs.get(name)
            if one is None or other is None:
                yield Difference(path=place, what="removed" if other is None else "added")
            elif isinstance(one, str) or isinstance(other, str) or type(one) is not type(other):
                kinds = [_kind(thing) for thing in (one, other)]
                if kinds[0] != kinds[1]:
                    yield Difference(path=place, what="type", left=kinds[0], right=kinds[1])
            else:
                yield from _compare_attributes(pair, name, one, other)
                if isinstance(one, h5py.Dataset):
                    yield from _compare_datasets(pair, place, name, one, other)


def _open(h5py: Any, side: ByteSource) -> Any:
    if side.path is not None:
        return h5py.File(side.path, "r", locking=False)
    return h5py.File(side.open(), "r")


def _tree(h5py: Any, file: Any) -> dict[str, Any]:
    """Return groups and datasets by path, and a description of each soft or external link."""
    found: dict[str, Any] = {}

    def visit(name: str, link: Any) -> None:
        if isinstance(link, h5py.HardLink):
            found[name] = file[name]
        else:
            found[name] = f"a link to {getattr(link, 'filename', '')}{link.path}"

    file.visititems_links(visit)
    return found


def _kind(thing: Any) -> str:
    return thing if isinstance(thing, str) else f"a {type(thing).__name__.lower()}"


def _compare_attributes(pair: Pair, name: str, a: Any, b: Any) -> Iterator[Difference]:
    ours, theirs = (
        {k: _attribute(v, thing) for k, v in thing.attrs.items() if k not in _ABOUT_THE_WRITER}
        for thing in (a, b)
    )
    for key in dict.fromkeys([*ours, *theirs]):
        place = pair.member(f"{name}@{key}")
        if key not in theirs:
            yield Difference(path=place, what="removed", left=_text(ours[key]))
        elif key not in ours:
            yield Difference(path=place, what="added", right=_text(theirs[key]))
        else:
            yield from _compare_attribute(pair, place, key, ours[key], theirs[key])


def _attribute(value: Any, thing: Any) -> Any:
    """Return numbers as an array, and other values as Python objects."""
    import numpy

    array = numpy.asarray(value)
    return _plain(value, thing) if array.dtype.hasobject else array


def _compare_attribute(pair: Pair, place: str, key: str, a: Any, b: Any) -> list[Difference]:
    import numpy

    left, right = numpy.asarray(a), numpy.asarray(b)
    if left.dtype.hasobject or right.dtype.hasobject:
        return _compare_objects(pair, place, a, b)
    return compare_arrays(place, left, right, pair.numbers.at(key))


def _compare_datasets(pair: Pair, place: str, name: str, a: Any, b: Any) -> Iterator[Difference]:
    import numpy

    for dataset in (a, b):
        if dataset.is_virtual or dataset.external:
            raise UnreadableError(f"{name} is stored in another file")
    if a.shape != b.shape:
        yield Difference(path=place, what="shape", left=str(a.shape), right=str(b.shape))
    elif a.shape is not None:
        pair.budget.take_bytes(a.nbytes + b.nbytes)
        left, right = a[()], b[()]
        if a.dtype.hasobject or b.dtype.hasobject:
            yield from _compare_objects(pair, place, _plain(left, a), _plain(right, b))
        else:
            arrays = numpy.asarray(left), numpy.asarray(right)
            yield from compare_arrays(place, *arrays, numbers=pair.numbers.at(name))


def _plain(value: Any, thing: Any) -> Any:
    """Return Python objects; a reference becomes the path of its target in the file of `thing`."""
    import h5py
    import numpy

    if isinstance(value, h5py.Reference):
        return h5py.h5r.get_name(value, thing.id)
    if isinstance(value, h5py.Empty):
        return f"empty {value.dtype}"
    if isinstance(value, numpy.ndarray | numpy.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(item, thing) for item in value]
    return value


def _compare_objects(pair: Pair, place: str, a: Any, b: Any) -> list[Difference]:
    """Compare strings, and lists of varying length."""
    left, right = (value if isinstance(value, list) else [value] for value in (a, b))
    if len(left) != len(right):
        sizes = [f"{len(values)} values" for values in (left, right)]
        return [Difference(path=place, what="shape", left=sizes[0], right=sizes[1])]
    unlike = [i for i, (x, y) in enumerate(zip(left, right, strict=True)) if not _same(x, y)]
    if not unlike:
        return []
    first = unlike[0]
    places_only = all(_same_place(pair, left[i], right[i]) for i in unlike)
    return [
        Difference(
            path=place,
            equal=places_only,
            note=PLACE if places_only else "",
            left=_text(left[first]),
            right=_text(right[first]),
            index=(first,),
            count=len(unlike),
            size=len(left),
        )
    ]


def _same(x: Any, y: Any) -> bool:
    if isinstance(x, list) and isinstance(y, list):
        return len(x) == len(y) and all(_same(*pair) for pair in zip(x, y, strict=True))
    return type(x) is type(y) and bool(x == y or (x != x and y != y))


def _same_place(pair: Pair, x: Any, y: Any) -> bool:
    texts = [v.decode(errors="replace") if isinstance(v, bytes) else v for v in (x, y)]
    return all(isinstance(text, str) for text in texts) and pair.numbers.same_text(*texts)


def _text(value: Any) -> str:
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return text[:_SHOWN]
