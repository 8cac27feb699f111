"""The command line of a script, ``train.main()``: a click command made from the experiment's signature.

It has an option for each parameter, whose values are read as ``recorder run`` reads them, and the options of
``recorder run``.
"""

from __future__ import annotations

import inspect
import sys
import typing
from collections.abc import Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, NoReturn

import click

from ... import codec
from ...capture.config import encode_config
from ...config.conversion import EMPTY, find_hints, type_name
from ...errors import ConfigError
from ...recording.experiment import Experiment
from ...secrets.register import Secrets
from .. import run_command
from .options import RunOptions, run_options
from .restart import restart


def run_script(experiment: Experiment, args: Sequence[str] | None) -> NoReturn:
    """Run the experiment with `args` (None: those of the program), and exit with its status."""
    command = make_command(experiment, is_program=args is None)
    run_command(command, args, name=Path(sys.argv[0]).name)


def make_command(experiment: Experiment, *, is_program: bool) -> click.Command:
    """Return the command; `is_program` if it is the command line of this process, which can then be restarted."""

    @click.pass_context
    def command(ctx: click.Context, /, settings: tuple[str, ...], **values: Any) -> None:
        chosen = RunOptions(**{name: values.pop(name) for name in RunOptions._fields})
        given = [text for name, texts in values.items() for text in _settings(name, texts)]
        ctx.exit(_launch(experiment, [*given, *settings], chosen, is_program=is_program))

    parameters = list(_options(experiment))
    make = click.command(
        params=[click.Argument(["settings"], nargs=-1, metavar="[KEY=VALUE]..."), *parameters],
        help=_help(experiment),
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    return make(run_options(command))


def _settings(name: str, texts: Any) -> list[str]:
    """Return the values of an option as ``KEY=VALUE``, none if it was not given."""
    if texts is None:
        return []
    if isinstance(texts, bool):
        return [f"{name}={str(texts).lower()}"]
    return [f"{name}={text}" for text in texts]


def _launch(
    experiment: Experiment, settings: Sequence[str], options: RunOptions, *, is_program: bool
) -> int:
    if options.deterministic or options.threads is not None:
        if not is_program:
            raise ConfigError(
                "--deterministic and --threads need a restart of Python: give them on the command line of the script"
            )
        restart(options)
    sys.argv[:] = sys.argv[:1]  # the arguments are in the config
    from .launch import launch

    place = experiment.place
    where = place.module if place.file is None else place.file
    target = f"{where}:{experiment.function.__qualname__}"
    return launch(experiment, target, settings, options)


def _options(experiment: Experiment) -> Iterator[click.Option]:
    """Yield an option for each parameter whose name is free; the others are set by ``KEY=VALUE``."""
    taken = {*RunOptions._fields, "config", "preset", "tag", "settings", "help"}
    hints = find_hints(experiment.function)
    for parameter in experiment.signature.parameters.values():
        variadic = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        if not variadic and parameter.name not in taken:
            yield _option(experiment, parameter, hints.get(parameter.name, EMPTY))


def _option(experiment: Experiment, parameter: inspect.Parameter, hint: Any) -> click.Option:
    name = parameter.name
    dashed = name.strip("_").replace("_", "-")
    text = _default(experiment, parameter)
    if hint is bool or isinstance(parameter.default, bool):
        return click.Option([name, f"--{dashed}/--no-{dashed}"], default=None, help=text)
    kind = type(parameter.default) if hint is EMPTY else hint
    spellings = dict.fromkeys([f"--{dashed}", f"--{name}"])
    return click.Option([name, *spellings], multiple=True, metavar=_metavar(kind), help=text)


def _metavar(kind: Any) -> str:
    """Return the placeholder for a value of the type: ``FLOAT``, ``[rbf|poly]``."""
    if kind in (EMPTY, Any, type(None), type):
        return "VALUE"
    if typing.get_origin(kind) is typing.Literal:
        return f"[{'|'.join(map(str, typing.get_args(kind)))}]"
    if isinstance(kind, type) and issubclass(kind, Enum):
        return f"[{'|'.join(kind.__members__)}]"
    return type_name(kind).rpartition(".")[2].upper()


def _default(experiment: Experiment, parameter: inspect.Parameter) -> str:
    """Describe the default of an option, without credentials."""
    if parameter.default is EMPTY:
        return (
            "default drawn at random" if parameter.name == experiment.options.seed else "required"
        )
    options = experiment.options
    form = encode_config(
        {parameter.name: parameter.default},
        secrets=Secrets(named=options.secrets, public=options.public),
    ).forms[parameter.name]
    return f"default {codec.describe(form, width=40)}"


def _help(experiment: Experiment) -> str:
    text = inspect.getdoc(experiment.function) or f"Run {experiment.name} and record it."
    presets = ", ".join(
        f"{name} ({doc.partition(chr(10))[0]})" if (doc := inspect.getdoc(one)) else name
        for name, one in experiment.presets.items()
    )
    lines = [
        text,
        "Several values of an option (VALUE,VALUE or FIRST:END, or the option several times) make a sweep, one run for"
        " each combination. KEY=VALUE sets arguments without an option; a dotted key sets an entry: optim.lr=0.1.",
        *([f"Presets: {presets}"] if presets else []),
    ]
    return "\n\n".join(lines)
