"""Load files of a run by their content and name. Nothing is unpickled unless the run is trusted.

===============================  ==========================================================
``.npy``                         a NumPy array
``.npz``                         arrays by name
``.json .geojson .ipynb``        values
``.jsonl .ndjson``               a list of values
``.csv .tsv .parquet .feather``  a pandas DataFrame
``.pt .pth .ckpt``               the object that torch.save wrote, on the CPU
``.safetensors``                 tensors by name; arrays if PyTorch is not installed
``.txt .md .log .yaml .toml``    a string
``.pkl .pickle .joblib``         the pickled object, if the run is trusted
one of these + ``.gz .bz2 .xz``  the same, decompressed
===============================  ==========================================================
"""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import PurePosixPath
from typing import IO, Any, NamedTuple

from ..errors import DecodeError, MissingPackageError


class Loading(NamedTuple):
    """A file to load: its bytes, its name, and `allow`, which raises an error if unpickling is not allowed."""

    file: IO[bytes]
    name: str
    allow: Callable[[str], None]

    @property
    def suffix(self) -> str:
        """The suffix of the name in lower case, such as ``.csv``."""
        return PurePosixPath(self.name.lower()).suffix


Reader = Callable[[Loading], Any]


def load_file(file: IO[bytes], *, name: str, allow: Callable[[str], None]) -> Any:
    """Load a file by its content, or by the suffix of its name.

    Args:
        file: The file, open for reading.
        name: The file's name.
        allow: Called with a description before anything is unpickled; raises an error to forbid it.

    Raises:
        DecodeError: The format is unknown, or the file is not valid.
        MissingPackageError: The package that reads the format is not installed.
    """
    loading = Loading(file, name, allow)
    reader = _reader(loading)
    if reader is None:
        raise DecodeError(f"{name} has an unknown format; open() gives its bytes")
    file.seek(0)
    try:
        return reader(loading)
    except (ValueError, EOFError, OSError, KeyError, pickle.UnpicklingError) as error:
        if isinstance(error, DecodeError | PermissionError):
            raise
        raise DecodeError(f"{name} cannot be read: {type(error).__name__}: {error}") from error


def need(package: str, *, for_what: str) -> Any:
    """Import an optional package. Raises MissingPackageError if it is not installed."""
    try:
        return import_module(package)
    except ImportError as error:
        name = package.partition(".")[0]
        raise MissingPackageError(
            f"{for_what} needs {name}: pip install {name}", name=name
        ) from error


def _reader(loading: Loading) -> Reader | None:
    """Choose a reader by the first bytes, else by the suffix."""
    head = loading.file.read(16)
    by_name = _BY_SUFFIX.get(loading.suffix)
    if by_name in (_joblib, _safetensors):  # these formats have no fixed first bytes
        return by_name
    if head.startswith(b"PK\3\4"):
        return _zip_reader(loading, by_name)
    found = next((reader for magic, reader in _BY_MAGIC if head.startswith(magic)), None)
    return found or by_name


def _zip_reader(loading: Loading, by_name: Reader | None) -> Reader | None:
    loading.file.seek(0)
    with zipfile.ZipFile(loading.file) as archive:
        names = archive.namelist()
    if any(name.endswith("/data.pkl") for name in names):
        return _torch
    return _npz if all(name.endswith(".npy") for name in names) else by_name


def _numpy(loading: Loading) -> Any:
    """Load an array or a .npz. Arrays of objects contain pickles."""
    numpy = need("numpy", for_what=loading.name)
    try:
        return _whole(numpy.load(loading.file, allow_pickle=False))
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
    loading.allow(f"{loading.name}, which holds pickled objects,")
    loading.file.seek(0)
    return _whole(numpy.load(loading.file, allow_pickle=True))


_npz: Reader = _numpy


def _whole(loaded: Any) -> Any:
    """Return an array unchanged, and all arrays of a .npz by name."""
    return dict(loaded.items()) if hasattr(loaded, "files") else loaded


def _json(loading: Loading) -> Any:
    return json.load(loading.file)


def _json_lines(loading: Loading) -> list[Any]:
    return [json.loads(line) for line in loading.file if line.strip()]


def _text(loading: Loading) -> str:
    return loading.file.read().decode()


def _csv(loading: Loading) -> Any:
    pandas = need("pandas", for_what=loading.name)
    return pandas.read_csv(loading.file, sep="\t" if loading.suffix == ".tsv" else ",")


def _parquet(loading: Loading) -> Any:
    need("pyarrow", for_what=loading.name)
    return need("pandas", for_what=loading.name).read_parquet(loading.file)


def _feather(loading: Loading) -> Any:
    need("pyarrow", for_what=loading.name)
    return need("pandas", for_what=loading.name).read_feather(loading.file)


def _safetensors(loading: Loading) -> Any:
    kind = "torch" if find_spec("torch") else "numpy"
    return need(f"safetensors.{kind}", for_what=loading.name).load(loading.file.read())


def _torch(loading: Loading) -> Any:
    """Load tensors and plain containers; other pickled objects only if the run is trusted."""
    torch = need("torch", for_what=loading.name)
    try:
        return torch.load(loading.file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        loading.allow(f"{loading.name}, which holds more than tensors,")
    loading.file.seek(0)
    return torch.load(loading.file, map_location="cpu", weights_only=False)


def _pickle(loading: Loading) -> Any:
    loading.allow(f"{loading.name}, a pickle,")
    return _unpickled(loading, pickle.load)


def _joblib(loading: Loading) -> Any:
    loading.allow(f"{loading.name}, a pickle,")
    return _unpickled(loading, need("joblib", for_what=loading.name).load)


def _unpickled(loading: Loading, load: Callable[[IO[bytes]], Any]) -> Any:
    try:
        return load(loading.file)
    except Exception as error:  # any class's own __setstate__ runs here
        reason = f"{type(error).__name__}: {error}"
        raise DecodeError(f"{loading.name} cannot be unpickled: {reason}") from error


def _unpacking(module: str) -> Reader:
    """Return a reader for a file compressed by `module`."""

    def read(loading: Loading) -> Any:
        with import_module(module).open(loading.file) as inner:
            return load_file(
                inner, name=loading.name[: -len(loading.suffix) or None], allow=loading.allow
            )

    return read


_gzip, _bz2, _xz = map(_unpacking, ("gzip", "bz2", "lzma"))

_BY_SUFFIX: dict[str, Reader] = {
    ".npy": _numpy,
    ".npz": _npz,
    **dict.fromkeys((".json", ".geojson", ".ipynb"), _json),
    **dict.fromkeys((".jsonl", ".ndjson"), _json_lines),
    **dict.fromkeys((".csv", ".tsv"), _csv),
    **dict.fromkeys((".parquet", ".pq"), _parquet),
    **dict.fromkeys((".feather", ".arrow"), _feather),
    **dict.fromkeys((".pt", ".pth", ".ckpt"), _torch),
    ".safetensors": _safetensors,
    **dict.fromkeys((".pkl", ".pickle"), _pickle),
    ".joblib": _joblib,
    **dict.fromkeys((".txt", ".md", ".rst", ".log", ".yaml", ".yml", ".toml", ".svg"), _text),
}
# The first bytes of the legacy format of torch.save (before PyTorch 1.6): a pickled magic number.
_BY_MAGIC: tuple[tuple[bytes, Reader], ...] = (
    (b"\x93NUMPY", _numpy),
    (b"PAR1", _parquet),
    (b"ARROW1", _feather),
    (b"\x80\2\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", _torch),
    *((b"\x80" + bytes([protocol]), _pickle) for protocol in range(2, 6)),
    (b"\x1f\x8b", _gzip),
    (b"BZh", _bz2),
    (b"\xfd7zXZ\0", _xz),
)
