"""Pickles, for values that no other form can hold, with the Python and cloudpickle versions that wrote them."""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Callable
from typing import Any

from ..digest import digest_bytes
from ..errors import DecodeError
from ..records import JSON
from .moved import loads

# register_pickle_by_value changes a setting of the entire process.
_by_value = threading.Lock()
if hasattr(os, "register_at_fork"):  # a thread may hold it while another one forks
    os.register_at_fork(after_in_child=lambda: globals().update(_by_value=threading.Lock()))
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def python_version() -> str:
    """Return the minor version, such as ``3.11``; loading a pickle of another one can crash the interpreter."""
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def encode(value: Any, objects: dict[str, bytes]) -> JSON | None:
    """Return the pickled form of a value, or None if it cannot be pickled."""
    import cloudpickle

    try:
        data: bytes = cloudpickle.dumps(value)
    except Exception:  # noqa: BLE001 - any __reduce__ can run here and raise anything
        return None
    digest = digest_bytes(data)
    objects[digest] = data
    kind = type(value)
    content = {
        "object": digest,
        "type": f"{kind.__module__}:{kind.__qualname__}",
        "python": python_version(),
        "cloudpickle": cloudpickle.__version__,
    }
    return {"$pickle": content}


def encode_function(
    function: Callable[..., Any], objects: dict[str, bytes], *, classes: tuple[type, ...] = ()
) -> JSON | None:
    """Return the pickled form of a function by value, with the globals that it uses, even if it could be imported.

    If `classes` of `__main__` are given, the pickle is the pair of the function and these classes.
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


def decode(content: dict[str, Any], data: bytes) -> Any:
    """Load the value. This runs code. Raises DecodeError for a pickle of another Python version or a failing load."""
    if content["python"] != python_version():
        raise DecodeError(
            f"a {content['type']} was pickled by Python {content['python']}; loading it with Python {python_version()}"
            " could crash the interpreter"
        )
    try:
        return loads(data)
    except Exception as error:  # any __setstate__ can run here
        raise DecodeError(f"cannot unpickle a {content['type']}: {error}") from error


def opaque(value: Any) -> JSON:
    """Return the form of a value that cannot be encoded: its type, and its repr without memory addresses."""
    kind = type(value)
    try:
        text = _ADDRESS.sub("", repr(value))[:200]
    except Exception:  # noqa: BLE001 - a user's __repr__ can raise anything
        text = "its repr raises"
    text = text.encode("utf-8", "backslashreplace").decode()
    return {"$opaque": {"type": f"{kind.__module__}:{kind.__qualname__}", "repr": text}}
