"""pandas objects: a parquet object if it holds the value exactly, or else a pickle."""

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
    """Return the form of a DataFrame, Series or Index; None for other values and for those that parquet changes."""
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
    content = {"object": digest, "type": kind.__name__, "shape": list(value.shape)}
    if kind is not pandas.DataFrame:
        content["name"] = value.name
    return {"$frame": content}


def _as_frame(pandas: Any, value: Any) -> Any:
    if isinstance(value, pandas.Series):
        return value.to_frame(_SERIES)
    if isinstance(value, pandas.Index):
        return value.to_frame(index=False, name=_SERIES)
    return value


def _from_frame(kind: str, name: Any, frame: Any) -> Any:
    """Return the value of class `kind` that `frame` represents; `name` is its name, or a value with that name."""
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
    except Exception:  # noqa: BLE001 - pyarrow raises many classes for values it cannot hold; use a pickle then
        return None
    return stream.getvalue()


def _read(data: bytes | memoryview) -> Any:
    import pandas

    try:
        return pandas.read_parquet(io.BytesIO(data), engine="pyarrow")
    except (ValueError, OSError) as error:
        raise DecodeError(f"not a parquet payload: {error}") from error


def _same(pandas: Any, a: Any, b: Any) -> bool:
    """Return True if the round trip through parquet was exact and the name of the value is plain JSON."""
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


def decode(content: dict[str, Any], data: bytes) -> Any:
    """Return the DataFrame, Series or Index of a ``$frame`` form."""
    return _from_frame(content["type"], content.get("name"), _read(data))


def compare_frames(
    path: str, a: bytes | memoryview, b: bytes | memoryview, numbers: Numbers
) -> list[Difference]:
    """Compare two parquet payloads: shape, columns, index, then the values of each column."""
    left, right = _read(a), _read(b)
    if left.shape != right.shape:
        return [Difference(path=path, what="shape", left=str(left.shape), right=str(right.shape))]
    if list(left.columns) != list(right.columns):
        content = [str(list(frame.columns)) for frame in (left, right)]
        return [Difference(path=f"{path}.columns", left=content[0], right=content[1])]
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
