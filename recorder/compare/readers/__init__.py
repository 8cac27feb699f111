"""Comparison of two files by their format: equal content in different bytes is distinguished from different content.

A reader is a function of a `Pair` that yields the differences in content. It raises UnreadableError, or any error of a
library, if a file does not have the format. Files can come from an untrusted source: nothing is unpickled, extracted or
executed, and the decompressed size is limited.

======================================  =========================================================================
``.json .jsonl .ipynb .yaml .toml``     values, in any order of keys
``.csv .tsv``                           cells by row and column name, numbers as numbers
``.npy .npz``                           arrays
``.parquet .feather .arrow``            columns
``.pt .pth .ckpt .safetensors``         tensors by name, and the other values
``.png .jpg .webp .gif .tiff ...``      pixels
``.h5 .hdf5 .nc``                       datasets and attributes by path
``.sqlite .db``                         rows by table
``.pkl .joblib``                        opcodes of the pickle: equal or opaque
``.gz .bz2 .xz .zst``                   decompressed content
``.zip .tar .xlsx .docx ...``           members by name
``.keras``                              members by name, without dates and ids of objects
``.svg .pdf``                           text or bytes, without timestamps
any other file                          lines if it is text, or else bytes
======================================  =========================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import PurePosixPath
from typing import NamedTuple

from ...codec import Difference
from .archives import compare_tars, compare_zips
from .arrays import compare_npy
from .checkpoints import compare_checkpoints
from .databases import compare_sqlite
from .frames import compare_feather, compare_parquet
from .hierarchies import compare_hdf5
from .images import compare_images
from .keras import compare_keras
from .packed import compare_bz2, compare_gzip, compare_xz, compare_zstd
from .pair import ByteSource, Pair, UnreadableError, same_bytes
from .pickles import compare_pickles
from .tables import compare_csv, compare_tsv
from .tensors import compare_safetensors
from .text import compare_office_xml, compare_pdf, compare_plain, compare_svg
from .trackers import MLFLOW_METRIC, compare_mlflow_metric
from .values import compare_json, compare_json_lines, compare_notebook, compare_toml, compare_yaml

__all__ = ["ByteSource", "Pair", "compare_pair", "same_bytes"]


class Format(NamedTuple):
    """A file format: name for messages, reader, suffixes, and magic bytes at `offset`."""

    name: str
    read: Callable[[Pair], Iterable[Difference]]
    suffixes: tuple[str, ...]
    magic: tuple[bytes, ...] = ()
    offset: int = 0


# Magic number of torch.save before PyTorch 1.6, which writes a pickle and raw storages.
_OLD_TORCH = b"\x80\2\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."

_FORMATS = (
    Format("JSON", compare_json, (".json", ".geojson", ".webmanifest")),
    Format("JSON lines", compare_json_lines, (".jsonl", ".ndjson")),
    Format("a notebook", compare_notebook, (".ipynb",)),
    Format("YAML", compare_yaml, (".yaml", ".yml")),
    Format("TOML", compare_toml, (".toml",)),
    Format("CSV", compare_csv, (".csv",)),
    Format("TSV", compare_tsv, (".tsv",)),
    Format("NumPy's format", compare_npy, (".npy",), (b"\x93NUMPY",)),
    Format("parquet", compare_parquet, (".parquet", ".pq"), (b"PAR1",)),
    Format("Feather", compare_feather, (".feather", ".arrow", ".ipc"), (b"ARROW1", b"FEA1")),
    Format("safetensors", compare_safetensors, (".safetensors",)),
    Format("a checkpoint", compare_checkpoints, (".pt", ".pth", ".ckpt"), (b"PK\3\4",)),
    Format(
        "an image",
        compare_images,
        (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".tga"),
        (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"II*\0", b"MM\0*"),
    ),
    Format("HDF5", compare_hdf5, (".h5", ".hdf5", ".hdf", ".nc"), (b"\x89HDF\r\n\x1a\n",)),
    Format("SQLite", compare_sqlite, (".sqlite", ".sqlite3", ".db"), (b"SQLite format 3\0",)),
    Format(
        "a pickle",
        compare_pickles,
        (".pkl", ".pickle", ".joblib"),
        (b"\x80\4\x95", b"\x80\5\x95", _OLD_TORCH),
    ),
    Format("gzip", compare_gzip, (".gz", ".tgz"), (b"\x1f\x8b",)),
    Format("bzip2", compare_bz2, (".bz2", ".tbz2"), (b"BZh",)),
    Format("xz", compare_xz, (".xz", ".txz"), (b"\xfd7zXZ\0",)),
    Format("zstd", compare_zstd, (".zst", ".tzst"), (b"\x28\xb5\x2f\xfd",)),
    Format(
        "a zip",
        compare_zips,
        (".zip", ".npz", ".xlsx", ".docx", ".pptx", ".ods", ".odt", ".jar", ".whl"),
        (b"PK\3\4",),
    ),
    Format("a Keras model", compare_keras, (".keras",)),
    Format("a tar", compare_tars, (".tar",), (b"ustar",), 257),
    Format("a PDF", compare_pdf, (".pdf",), (b"%PDF-",)),
    Format("SVG", compare_svg, (".svg",)),
)
_OFFICE = Format("office XML", compare_office_xml, ())
_MLFLOW_METRIC = Format("a metric of MLflow", compare_mlflow_metric, ())
_OFFICE_NAMES = ("docProps/core.xml", "meta.xml")
_BY_SUFFIX = {suffix: found for found in _FORMATS for suffix in found.suffixes}


def compare_pair(pair: Pair) -> list[Difference]:
    """Return the differences in content of two files whose bytes differ.

    Files that cannot be read in their format are compared as text or bytes, with a note on the reason.
    """
    notes: list[str] = []
    for found in _formats(pair):
        try:
            return list(found.read(pair))
        except UnreadableError as error:
            notes.append(str(error))
        except Exception as error:  # noqa: BLE001 - libraries raise any class for files of another format
            notes.append(f"not readable as {found.name}: {type(error).__name__}: {error}"[:120])
    return compare_plain(pair, "; ".join(notes[:1]))


def _formats(pair: Pair) -> Iterator[Format]:
    """Yield the candidate formats: by name first, then by the first bytes of both files."""
    by_name = _BY_SUFFIX.get(PurePosixPath(pair.name.lower()).suffix)
    if pair.name.endswith(_OFFICE_NAMES):
        by_name = _OFFICE
    elif MLFLOW_METRIC.search(pair.name):
        by_name = _MLFLOW_METRIC
    if by_name is not None:
        yield by_name
    for found in _FORMATS:
        if found is not by_name and all(_begins(side, found) for side in pair.sides):
            yield found


def _begins(side: ByteSource, found: Format) -> bool:
    head = bytes(side.data[found.offset : found.offset + 16])
    return bool(found.magic) and head.startswith(found.magic)
