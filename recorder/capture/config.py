"""Bind the arguments of a call, choose its seed, and encode its config."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from .. import codec
from ..records import JSON, Seed
from ..secrets.redaction import redact_encoded
from ..secrets.register import Secrets
from .seeding.determinism import is_deterministic
from .seeding.seed import draw_seed


class EncodedConfig(NamedTuple):
    """The arguments of a call as forms by parameter.

    `objects` are the payloads that the forms refer to, by digest; `opaque` lists the dotted names of the values that
    could not be encoded.
    """

    forms: dict[str, JSON]
    objects: dict[str, bytes]
    opaque: tuple[str, ...]


def bind(
    signature: inspect.Signature,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    *,
    seed: str | None,
) -> inspect.BoundArguments:
    """Return the arguments of a call by parameter, with defaults applied.

    The parameter named `seed` may be missing. Raises TypeError if the arguments do not fit, as the call itself would.
    """
    if seed is not None and seed in signature.parameters:
        bound = signature.bind_partial(*args, **kwargs)
        missing = [
            name
            for name, p in signature.parameters.items()
            if _is_required(p) and name not in bound.arguments
        ]
        if missing and missing != [seed]:
            signature.bind(*args, **kwargs)  # raises with Python's message
    else:
        bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    return bound


def _is_required(parameter: inspect.Parameter) -> bool:
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return parameter.default is inspect.Parameter.empty and parameter.kind not in variadic


def choose_seed(
    bound: inspect.BoundArguments,
    *,
    parameter: str | None,
    given: int | None = None,
    drawn: int | None = None,
) -> Seed:
    """Return the seed of a call: the argument if it is an integer, else `given`, else `drawn`, else a new one.

    If the function has the `parameter` and the argument is missing or None, the seed is put into `bound`.
    """
    takes = parameter is not None and parameter in bound.signature.parameters
    argument = bound.arguments.get(parameter) if parameter is not None and takes else None
    value = as_integer(argument)
    if value is not None:
        return Seed(
            value=value,
            origin="argument",
            parameter=parameter,
            deterministic=is_deterministic(),
        )
    if given is None and drawn is None:
        drawn = draw_seed()
    value = given if given is not None else drawn
    assert value is not None
    if takes and argument is None:
        assert parameter is not None
        # BoundArguments.args reads the arguments in the order of the parameters.
        bound.arguments[parameter] = value
        order = {name: i for i, name in enumerate(bound.signature.parameters)}
        bound.arguments = dict(sorted(bound.arguments.items(), key=lambda item: order[item[0]]))
    return Seed(
        value=value,
        origin="drawn" if given is None else "argument",
        parameter=parameter if takes and argument is None else None,
        deterministic=is_deterministic(),
    )


def as_integer(value: object) -> int | None:
    """Return `value` as an int if it is an integer (of NumPy too) but not a bool, else None."""
    if value is None or isinstance(value, bool):
        return None
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except Exception:  # noqa: BLE001 - any class's __index__ may raise anything, a tensor's does
        return None


def encode_config(
    arguments: Mapping[str, Any], *, secrets: Secrets | None = None, receiver: str | None = None
) -> EncodedConfig:
    """Encode each argument as a form, with credentials redacted; a value that cannot be encoded becomes opaque.

    Args:
        arguments: The arguments by parameter.
        secrets: The register of credentials, which also collects those redacted here.
        receiver: The argument that holds a method's instance; it is encoded by its attributes where possible.
    """
    secrets = Secrets() if secrets is None else secrets
    known = -1
    encoded = {
        name: codec.encode(value, inline_limit=None, apart=name == receiver)
        for name, value in arguments.items()
    }
    clean: dict[str, codec.Encoded] = {}
    while known != secrets.count:  # a credential found in one argument may occur in another
        known = secrets.count
        clean = {
            name: redact_encoded(value, secrets, place="config", path=name)
            for name, value in encoded.items()
        }
    opaque = [
        secrets.scrub(f"{name}.{path}" if path else name, "config")
        for name, value in encoded.items()
        for path in value.opaque
    ]
    return EncodedConfig(
        {name: value.form for name, value in clean.items()},
        {digest: payload for value in clean.values() for digest, payload in value.objects.items()},
        tuple(opaque),
    )


def call_with(function: Callable[..., Any], values: Mapping[str, Any]) -> inspect.BoundArguments:
    """Return the bound arguments for a recorded config: `values` by parameter, as returned by `bind`.

    Raises TypeError if the function's parameters have changed.
    """
    signature = inspect.signature(function)
    unknown = [name for name in values if name not in signature.parameters]
    missing = [n for n, p in signature.parameters.items() if _is_required(p) and n not in values]
    if unknown or missing:
        changes = [f"it has no parameter {name!r}" for name in unknown]
        changes += [f"it requires {name!r}" for name in missing]
        raise TypeError(f"the function has changed: {', '.join(changes)}: {signature}")
    ordered = {name: values[name] for name in signature.parameters if name in values}
    return inspect.BoundArguments(signature, ordered)
