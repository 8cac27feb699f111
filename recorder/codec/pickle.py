"""The last resort: cloudpickle, with the versions beside it that its bytes depend on."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable
from typing import Any

from ..digest import digest_bytes
from ..errors import DecodeError
from ..records import JSON

# register_pickle_by_value is a setting of the whole process.
_by_value = threading.Lock()
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def python_version() -> str:
    """``3.11``: a pickle of another minor version may crash the interpreter that loads it."""
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def encode(value: Any, objects: dict[str, bytes]) -> JSON | None:
    """The pickled form of a value, None for what cannot be pickled."""
    import cloudpickle

    try:
        data: bytes = cloudpickle.dumps(value)
    except Exception:  # noqa: BLE001 - any class's own __reduce__ runs here; what it cannot do is opaque
        return None
    digest = digest_bytes(data)
    objects[digest] = data
    kind = type(value)
    said = {
        "object": digest,
        "type": f"{kind.__module__}:{kind.__qualname__}",
        "python": python_version(),
        "cloudpickle": cloudpickle.__version__,
    }
    return {"$pickle": said}


def encode_function(
    function: Callable[..., Any], objects: dict[str, bytes], *, classes: tuple[type, ...] = ()
) -> JSON | None:
    """The function by value, with the globals that it uses, though its module could be imported.

    With classes of `__main__`, which are pickled by value too, it is the pair of the function and these.
    """
    import cloudpickle

    value = (function, classes) if classes else function
    module = sys.modules.get(function.__module__)
    if module is None or module.__name__ in ("__main__", "__mp_main__"):
        return encode(value, objects)
    with _by_value:
        registered = module.__name__ in cloudpickle.list_registry_pickle_by_value()
        if not registered:
            cloudpickle.register_pickle_by_value(module)
        try:
            return encode(value, objects)
        finally:
            if not registered:
                cloudpickle.unregister_pickle_by_value(module)


def decode(said: dict[str, Any], data: bytes) -> Any:
    """The value; DecodeError where it was pickled by another Python, or cannot be loaded. This runs code."""
    if said["python"] != python_version():
        raise DecodeError(
            f"a {said['type']} pickled by Python {said['python']} is not loaded by {python_version()}:"
            " it could crash the interpreter"
        )
    import cloudpickle

    try:
        return cloudpickle.loads(data)
    except Exception as error:  # any class's own __setstate__ runs here
        raise DecodeError(f"a {said['type']} could not be unpickled: {error}") from error


def opaque(value: Any) -> JSON:
    """The form of what nothing can encode: its type, and its repr without memory addresses."""
    kind = type(value)
    try:
        text = _ADDRESS.sub("", repr(value))[:200]
    except Exception:  # noqa: BLE001 - anybody's __repr__
        text = "its repr raises"
    text = text.encode("utf-8", "backslashreplace").decode()
    return {"$opaque": {"type": f"{kind.__module__}:{kind.__qualname__}", "repr": text}}
