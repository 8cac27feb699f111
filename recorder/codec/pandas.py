"""pandas' frames, series and indexes: a parquet object where that holds them exactly, else a pickle."""

from __future__ import annotations

import io
import sys
from importlib.util import find_spec
from typing import Any

from ..digest import digest_bytes
from ..errors import DecodeError
from ..records import JSON
from .arrays import compare_arrays
from .differences import Difference, Numbers

_SERIES = "recorder_series"


def encode(value: Any, objects: dict[str, bytes]) -> JSON | None:
    """The form of a DataFrame, Series or Index; None for anything else, and for what parquet cannot hold."""
    pandas = sys.modules.get("pandas")
    if pandas is None or not hasattr(pandas, "DataFrame"):
        return None
    kind = type(value)
    if kind not in (pandas.DataFrame, pandas.Series, pandas.Index) or find_spec("pyarrow") is None:
        return None
    frame = _as_frame(pandas, value)
    data = _to_parquet(frame)
    if data is None or not _same(pandas, value, _from_frame(kind.__name__, value, _read(data))):
        return None
    digest = digest_bytes(data)
    objects[digest] = data
    said = {"object": digest, "type": kind.__name__, "shape": list(value.shape)}
    if kind is not pandas.DataFrame:
        said["name"] = value.name
    return {"$frame": said}


def _as_frame(pandas: Any, value: Any) -> Any:
    if isinstance(value, pandas.Series):
        return value.to_frame(_SERIES)
    if isinstance(value, pandas.Index):
        return value.to_frame(index=False, name=_SERIES)
    return value


def _from_frame(kind: str, name: Any, frame: Any) -> Any:
    """The value of that kind in the frame; `name` is its name or the value that bears it."""
    import pandas

    name = getattr(name, "name", name)
    if kind == "Series":
        return frame[_SERIES].rename(name)
    if kind == "Index":
        return pandas.Index(frame[_SERIES], name=name)
    return frame


def _to_parquet(frame: Any) -> bytes | None:
    stream = io.BytesIO()
    try:
        frame.to_parquet(stream, engine="pyarrow")
    except Exception:  # noqa: BLE001 - pyarrow raises a dozen kinds for what it cannot hold; a pickle is the answer
        return None
    return stream.getvalue()


def _read(data: bytes | memoryview) -> Any:
    import pandas

    try:
        return pandas.read_parquet(io.BytesIO(data), engine="pyarrow")
    except (ValueError, OSError) as error:
        raise DecodeError(f"not a parquet payload: {error}") from error


def _same(pandas: Any, a: Any, b: Any) -> bool:
    """Whether parquet has given back exactly what it was given, names that are no JSON left to the pickle."""
    name = getattr(a, "name", None)
    if name is not None and type(name) not in (str, int, bool):
        return False
    check = getattr(
        pandas.testing, f"assert_{type(a).__name__.replace('DataFrame', 'frame').lower()}_equal"
    )
    options = {} if isinstance(a, pandas.Index) else {"check_freq": True}
    try:
        check(a, b, check_exact=True, **options)
    except (AssertionError, TypeError, ValueError):
        return False
    return bool(getattr(a, "attrs", None) == getattr(b, "attrs", None))


def decode(said: dict[str, Any], data: bytes) -> Any:
    """The frame, series or index of a ``$frame`` form."""
    return _from_frame(said["type"], said.get("name"), _read(data))


def compare_frames(
    path: str, a: bytes | memoryview, b: bytes | memoryview, numbers: Numbers
) -> list[Difference]:
    """Where two parquet payloads differ: shape, columns, index, then column by column."""
    left, right = _read(a), _read(b)
    if left.shape != right.shape:
        return [Difference(path=path, what="shape", left=str(left.shape), right=str(right.shape))]
    if list(left.columns) != list(right.columns):
        said = [str(list(frame.columns)) for frame in (left, right)]
        return [Difference(path=f"{path}.columns", left=said[0], right=said[1])]
    found = [] if left.index.equals(right.index) else [_index_difference(path, left, right)]
    for column in left.columns:
        found += _compare_columns(f"{path}[{column!r}]", left[column], right[column], numbers)
    return found


def _index_difference(path: str, left: Any, right: Any) -> Difference:
    return Difference(path=f"{path}.index", left=str(left.index)[:60], right=str(right.index)[:60])


def _compare_columns(path: str, a: Any, b: Any, numbers: Numbers) -> list[Difference]:
    if a.dtype != b.dtype:
        return [Difference(path=path, what="dtype", left=str(a.dtype), right=str(b.dtype))]
    if a.equals(b):
        return []
    if a.dtype.kind in "fciubmM" and not a.isna().any() and not b.isna().any():
        return compare_arrays(path, a.to_numpy(), b.to_numpy(), numbers)
    unlike = ~((a == b) | (a.isna() & b.isna())).to_numpy(dtype=bool, na_value=False)
    at = int(unlike.argmax())
    return [
        Difference(
            path=path,
            left=str(a.iloc[at]),
            right=str(b.iloc[at]),
            index=(at,),
            count=int(unlike.sum()),
            size=len(a),
        )
    ]
