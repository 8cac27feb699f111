"""Zip and tar archives, compared by the name and content of their members; order and times are ignored."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath

from ...codec import Difference
from .pair import ByteSource, Compare, Pair, UnreadableError

_MOST_MEMBERS = 200_000
# Name of a member and its occurrence, because several members can have the same name.
Key = tuple[str, int]


def open_zip(side: ByteSource, pair: Pair) -> zipfile.ZipFile:
    """Open the archive, and take the decompressed size of its members from the budget. The caller closes it."""
    # Opened by path if possible, so that closing the archive closes the file.
    archive = zipfile.ZipFile(side.path if side.path is not None else side.open())
    infos = archive.infolist()
    if len(infos) > _MOST_MEMBERS:
        raise UnreadableError(f"the archive has more than {_MOST_MEMBERS} members")
    # Stored members are read in place and take no memory.
    packed = (info for info in infos if info.compress_type != zipfile.ZIP_STORED)
    pair.budget.take_bytes(sum(info.file_size for info in packed))
    return archive


def member_data(archive: zipfile.ZipFile, side: ByteSource, info: zipfile.ZipInfo) -> memoryview:
    """Return the bytes of a member; stored members are not copied."""
    if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
        return memoryview(archive.read(info))
    head = bytes(side.data[info.header_offset : info.header_offset + 30])
    start = (
        info.header_offset + 30 + sum(int.from_bytes(head[i : i + 2], "little") for i in (26, 28))
    )
    if head[:4] != b"PK\3\4" or start + info.file_size > len(side):
        raise UnreadableError("a member is outside the archive")
    return side.data[start : start + info.file_size]


def compare_zips(pair: Pair, *, readers: Mapping[str, Compare] = {}) -> Iterator[Difference]:
    """Compare two zip archives member by member; `readers` compare the members with these names."""
    with open_zip(pair.a, pair) as left, open_zip(pair.b, pair) as right:
        ours, theirs = (
            _keyed((i.filename, i) for i in archive.infolist() if not i.is_dir())
            for archive in (left, right)
        )
        _strip_tops(ours, theirs)
        for key in sorted({*ours, *theirs}):
            if key in ours and key in theirs:
                sources = (
                    ByteSource(member_data(archive, side, infos[key]))
                    for archive, side, infos in ((left, pair.a, ours), (right, pair.b, theirs))
                )
                place, read = pair.member(key[0]), readers.get(key[0])
                yield from pair.inner(key[0], *sources, path=place, read=read)
            else:
                yield _only_one(pair.member(key[0]), ours.get(key), theirs.get(key))


def _keyed(members: Iterable[tuple[str, zipfile.ZipInfo]]) -> dict[Key, zipfile.ZipInfo]:
    return {key: member for key, member in _numbered(members)}  # noqa: C416 - mypy wants the dict's type


def _numbered(
    members: Iterable[tuple[str, zipfile.ZipInfo]],
) -> Iterator[tuple[Key, zipfile.ZipInfo]]:
    seen: dict[str, int] = {}
    for name, member in members:
        seen[name] = seen.get(name, -1) + 1
        yield (name, seen[name]), member


def _strip_tops(*sides: dict[Key, zipfile.ZipInfo]) -> None:
    """Remove the top-level folder, which PyTorch names after the file, from the names of the members."""
    for side in sides:
        tops = {name.partition("/")[0] for name, _ in side}
        if len(tops) == 1 and any(name.endswith("/data.pkl") for name, _ in side):
            for name, i in list(side):
                side[(name.partition("/")[2], i)] = side.pop((name, i))


def _only_one(
    place: str, ours: zipfile.ZipInfo | None, theirs: zipfile.ZipInfo | None
) -> Difference:
    if theirs is None:
        size = ours.file_size if ours is not None else 0
        return Difference(path=place, what="removed", left=f"{size} bytes")
    return Difference(path=place, what="added", right=f"{theirs.file_size} bytes")


def compare_tars(pair: Pair) -> Iterator[Difference]:
    """Compare two tar archives member by member, ignoring owners, modes and times; nothing is extracted."""
    with (
        pair.a.open() as stream,
        pair.b.open() as other_stream,
        tarfile.open(fileobj=stream, mode="r:") as left,
        tarfile.open(fileobj=other_stream, mode="r:") as right,
    ):
        ours, theirs = (_tar_members(archive, pair) for archive in (left, right))
        for name in sorted({*ours, *theirs}):
            place = pair.member(name)
            one, other = ours.get(name), theirs.get(name)
            if one is None or other is None:
                yield Difference(path=place, what="removed" if other is None else "added")
            elif one.type != other.type or one.linkname != other.linkname:
                kinds = [f"{_kind(m)} {m.linkname}".strip() for m in (one, other)]
                yield Difference(path=place, what="type", left=kinds[0], right=kinds[1])
            elif one.isreg():
                sources = (_tar_source(a, m) for a, m in ((left, one), (right, other)))
                yield from pair.inner(name, *sources, path=place)


def _tar_members(archive: tarfile.TarFile, pair: Pair) -> dict[str, tarfile.TarInfo]:
    found: dict[str, tarfile.TarInfo] = {}
    for member in archive:
        if len(found) > _MOST_MEMBERS:
            raise UnreadableError(f"the archive has more than {_MOST_MEMBERS} members")
        if member.isreg():
            pair.budget.take_bytes(member.size)
        if not member.isdir():  # the last one of a name counts, as it does for extraction
            found[PurePosixPath(member.name).as_posix()] = member
    return found


def _tar_source(archive: tarfile.TarFile, member: tarfile.TarInfo) -> ByteSource:
    stream = archive.extractfile(member)
    return ByteSource(stream.read() if stream is not None else b"")


def _kind(member: tarfile.TarInfo) -> str:
    return "a file" if member.isreg() else "a link" if member.issym() or member.islnk() else "other"
