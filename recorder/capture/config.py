"""The config of a call: its arguments as bound, defaults applied, each as a form of the codec."""

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
    """The arguments as forms under their parameters' names, and what the forms refer to.

    `objects` are payloads by digest; `opaque` the dotted names of what nothing could encode.
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
    """The call's arguments under their parameters' names, defaults applied.

    A parameter named `seed` may be left out. Raises TypeError as the call itself would.
    """
    if seed is not None and seed in signature.parameters:
        bound = signature.bind_partial(*args, **kwargs)
        missing = [
            name
            for name, p in signature.parameters.items()
            if _is_required(p) and name not in bound.arguments
        ]
        if missing and missing != [seed]:
            signature.bind(*args, **kwargs)  # raises, in Python's own words
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
    """The seed of a call: the argument if it is an integer, else `given`, else `drawn`, else a fresh one.

    A parameter for the seed that was bound to nothing, or to None, is handed the seed in `bound`.
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
        _put(bound, parameter, value)
    return Seed(
        value=value,
        origin="drawn" if given is None else "argument",
        parameter=parameter if takes and argument is None else None,
        deterministic=is_deterministic(),
    )


def _put(bound: inspect.BoundArguments, name: str, value: object) -> None:
    # In the order of the parameters, as BoundArguments.args reads them.
    bound.arguments[name] = value
    order = {name: i for i, name in enumerate(bound.signature.parameters)}
    bound.arguments = dict(sorted(bound.arguments.items(), key=lambda item: order[item[0]]))


def as_integer(value: object) -> int | None:
    """`value` as an int where it is an integer (NumPy's too) and no bool, else None."""
    if value is None or isinstance(value, bool):
        return None
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except Exception:  # noqa: BLE001 - anybody's __index__: a tensor's raises what it likes; then it is none
        return None


def encode_config(
    arguments: Mapping[str, Any], *, secrets: Secrets | None = None, receiver: str | None = None
) -> EncodedConfig:
    """Each argument as a form, without credentials; nothing is refused, what nothing can encode is opaque.

    `secrets` says what else is one, and is told what was kept out; `receiver` names the argument that is a method's
    instance, which is taken apart into its attributes where it can be.
    """
    secrets = Secrets() if secrets is None else secrets
    known = -1
    encoded = {
        name: codec.encode(value, inline_limit=None, apart=name == receiver)
        for name, value in arguments.items()
    }
    clean: dict[str, codec.Encoded] = {}
    while known != secrets.count:  # what is found in one argument may stand in another
        known = secrets.count
        clean = {
            name: redact_encoded(one, secrets, place="config", path=name)
            for name, one in encoded.items()
        }
    opaque = [
        secrets.scrub(f"{name}.{path}" if path else name, "config")
        for name, one in encoded.items()
        for path in one.opaque
    ]
    return EncodedConfig(
        {name: one.form for name, one in clean.items()},
        {digest: payload for one in clean.values() for digest, payload in one.objects.items()},
        tuple(opaque),
    )


def call_with(function: Callable[..., Any], values: Mapping[str, Any]) -> inspect.BoundArguments:
    """The bound arguments of a recorded config: `values` by parameter, as `bind` gave them.

    Raises TypeError where the function's parameters are others now.
    """
    signature = inspect.signature(function)
    unknown = [name for name in values if name not in signature.parameters]
    missing = [n for n, p in signature.parameters.items() if _is_required(p) and n not in values]
    if unknown or missing:
        said = [f"it takes no {n!r}" for n in unknown] + [f"it wants {n!r}" for n in missing]
        raise TypeError(f"the function has changed: {', '.join(said)}: {signature}")
    ordered = {name: values[name] for name in signature.parameters if name in values}
    return inspect.BoundArguments(signature, ordered)
