"""HDF5, and NetCDF where it is HDF5, through h5py where it is installed: datasets and attributes by their path."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

from ...codec import Difference
from ...codec.arrays import compare_arrays
from .arrays import need_numpy
from .pair import Pair, Source, UnreadableError

_SHOWN = 60
_BLOCK_BYTES = 64 << 20
# What the NetCDF library and others write about themselves, which changes from version to version.
_ABOUT_THE_WRITER = frozenset({"_NCProperties"})


def compare_hdf5(pair: Pair) -> Iterator[Difference]:
    """Groups, datasets, their attributes, and links as links: one that leads out of the file is not followed."""
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
                said = [_kind(thing) for thing in (one, other)]
                if said[0] != said[1]:
                    yield Difference(path=place, what="type", left=said[0], right=said[1])
            else:
                yield from _compare_attributes(pair, name, one, other)
                if isinstance(one, h5py.Dataset):
                    yield from _compare_datasets(pair, place, name, one, other)


def _open(h5py: Any, side: Source) -> Any:
    if side.path is not None:
        return h5py.File(side.path, "r", locking=False)
    return h5py.File(side.open(), "r")


def _tree(h5py: Any, file: Any) -> dict[str, Any]:
    """Everything by its path: groups, datasets, and the text of a link that is not followed."""
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
        {key: value for key, value in thing.attrs.items() if key not in _ABOUT_THE_WRITER}
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


def _compare_attribute(pair: Pair, place: str, key: str, a: Any, b: Any) -> list[Difference]:
    import h5py
    import numpy

    if any(isinstance(x, h5py.Reference | h5py.Empty) for x in (a, b)):
        return _differ(place, _text(a), _text(b)) if _text(a) != _text(b) else []
    left, right = numpy.asarray(a), numpy.asarray(b)
    if left.dtype.hasobject or right.dtype.hasobject:
        return _compare_objects(place, left, right)
    return compare_arrays(place, left, right, pair.numbers.at(key))


def _compare_datasets(pair: Pair, place: str, name: str, a: Any, b: Any) -> Iterator[Difference]:
    for dataset in (a, b):
        if dataset.is_virtual or dataset.external:
            raise UnreadableError(f"{name} lies in another file")
    if a.shape != b.shape or a.shape is None:
        if a.shape != b.shape:
            yield Difference(path=place, what="shape", left=str(a.shape), right=str(b.shape))
        return
    pair.budget.take_bytes(min(a.nbytes, b.nbytes))
    left, right = a[()], b[()]
    if a.dtype.hasobject or b.dtype.hasobject:
        yield from _compare_objects(place, left, right)
    else:
        import numpy

        yield from compare_arrays(
            place, numpy.asarray(left), numpy.asarray(right), pair.numbers.at(name)
        )


def _compare_objects(place: str, a: Any, b: Any) -> list[Difference]:
    """Texts and lists of any length, as Python's objects."""
    import numpy

    left, right = (numpy.asarray(array, dtype=object).reshape(-1) for array in (a, b))
    if len(left) != len(right):
        said = [f"{len(array)} values" for array in (left, right)]
        return [Difference(path=place, what="shape", left=said[0], right=said[1])]
    unlike = [i for i, (x, y) in enumerate(zip(left, right, strict=True)) if not _same(x, y)]
    if not unlike:
        return []
    found = _differ(place, _text(left[unlike[0]]), _text(right[unlike[0]]))[0]
    return [
        Difference(
            path=place,
            left=found.left,
            right=found.right,
            index=(unlike[0],),
            count=len(unlike),
            size=len(left),
        )
    ]


def _same(x: Any, y: Any) -> bool:
    import h5py
    import numpy

    if isinstance(x, h5py.Reference) and isinstance(y, h5py.Reference):
        return True  # where it points to is compared where that stands
    return bool(numpy.array_equal(x, y)) or bool(x is y)


def _differ(place: str, left: str, right: str) -> list[Difference]:
    return [Difference(path=place, left=left, right=right)]


def _text(value: Any) -> str:
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return text[:_SHOWN]
