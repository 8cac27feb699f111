"""Shell completion: runs, experiments, tags, outputs, config keys, files and functions.

It is click's, with support for bash, which splits ``train.py:train`` into three words. An error offers no choices
and prints nothing.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from ..errors import RecorderError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from ..store.store import RunStore

# A choice and its description, which zsh and fish show.
Choice: TypeAlias = tuple[str, str]
Complete: TypeAlias = Callable[[click.Context, click.Parameter, str], "list[CompletionItem]"]

# Only so many of the newest runs are offered, and searched for config keys.
_NEWEST = 20
# No space follows a choice that ends with one of these: the word goes on.
_OPEN = ("=", ":", "/")


def _choices(find: Callable[[click.Context, str], Iterable[Choice]]) -> Complete:
    """Return the function that a click parameter needs, from one that finds the choices for a prefix."""

    def complete(
        ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        try:
            choices = [one for one in find(ctx, incomplete) if one[0].startswith(incomplete)]
        except (RecorderError, OSError, SyntaxError, ValueError):
            return []
        return [
            CompletionItem(value, help=text)
            for value, text in dict(choices).items()
            if _is_safe(value)
        ]

    return complete


def _is_safe(value: str) -> bool:
    """Return True if a shell reads the choice as one plain word; names in a store can come from somebody else.

    bash inserts a choice unquoted, so that a file named ``$(command)`` would run it with the next Enter.
    """
    return value.isprintable() and not any(letter in " \"'`$\\;&|<>(){}[]*?!#" for letter in value)


def _store(ctx: click.Context) -> RunStore:
    from ..store.store import RunStore

    return RunStore(ctx.obj or ctx.find_root().params.get("store"))


def _runs(ctx: click.Context, incomplete: str) -> Iterator[Choice]:
    """Yield numbers of the newest runs, experiments, tags, and ids that begin so."""
    from ..render.text import age

    store = _store(ctx)
    newest = store.runs(last=_NEWEST)[::-1]
    if not incomplete or incomplete.isdecimal():
        for record in newest if not incomplete else store.runs():
            yield str(record.number), f"{record.experiment}, {record.status}, {age(record.started)}"
    if not incomplete.isdecimal():
        yield "last", "the newest run that is not a replay"
        yield from _experiments(ctx, incomplete)
        yield from _tags(ctx, incomplete)
        if len(incomplete) > 1:
            for entry in store.entries():
                yield entry.id, f"run {entry.number}"


def _experiments(ctx: click.Context, incomplete: str) -> Iterator[Choice]:
    for entry in _store(ctx).entries():
        yield entry.experiment, "experiment"


def _tags(ctx: click.Context, incomplete: str) -> Iterator[Choice]:
    for entry in _store(ctx).entries():
        yield from ((tag, "tag") for tag in entry.tags)


def _keys(ctx: click.Context, incomplete: str) -> Iterator[Choice]:
    """Yield names of fields, config keys and metrics for the last name of a list or a query."""
    from ..store.query.fields import FIELDS, known_names

    before = incomplete[: len(incomplete) - len(_last_name(incomplete))]
    known = dict.fromkeys(FIELDS, "field")
    for record in _store(ctx).runs(last=_NEWEST):
        known |= dict.fromkeys(sorted(known_names(record.to_document())), "")
    yield from ((before + name, text) for name, text in known.items())


def _last_name(text: str) -> str:
    """Return the end of the text that can be the beginning of a name."""
    at = len(text)
    while at and (text[at - 1].isalnum() or text[at - 1] in "._"):
        at -= 1
    return text[at:]


def _contents(ctx: click.Context, incomplete: str) -> Iterator[Choice]:
    """Yield ``RUN:`` or ``RUN:NAME``."""
    from ..store.content.contents import content_names

    run, colon, _ = incomplete.partition(":")
    if not colon:
        yield from ((f"{value}:", text) for value, text in _runs(ctx, incomplete))
        return
    for name in content_names(_store(ctx).find(run)):
        yield f"{run}:{name}", ""


def _restorable(ctx: click.Context, incomplete: str) -> Iterator[Choice]:
    """Yield runs for the first word, then outputs of that run."""
    words = ctx.params.get("words") or ()
    if not words:
        yield from _runs(ctx, incomplete)
        return
    yield from ((output.name, output.kind) for output in _store(ctx).find(words[0]).outputs)


def _files(ctx: click.Context, incomplete: str) -> Iterator[Choice]:
    code = _store(ctx).find(ctx.params["run"]).code
    if code is not None and code.snapshot is not None:
        yield from ((path, "") for path in _store(ctx).snapshots.files(code.snapshot))


def _targets(ctx: click.Context, incomplete: str) -> Iterator[Choice]:
    """Yield files, or the functions of a file for ``FILE.py:``, decorated ones first."""
    file, colon, _ = incomplete.partition(":")
    if not colon:
        folder = Path(incomplete).parent if incomplete else Path()
        for path in sorted(folder.iterdir()):
            if path.is_dir() and not path.name.startswith("."):
                yield f"{path}/", "folder"
            elif path.suffix == ".py":
                yield f"{path}:", ""
        return
    functions = sorted(_functions(Path(file)), key=lambda one: not one.decorator_list)
    for function in functions:
        yield f"{file}:{function.name}", (ast.get_docstring(function) or "").partition("\n")[0]


def _functions(file: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(file.read_bytes())
    return [one for one in tree.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)]


def _settings(ctx: click.Context, incomplete: str) -> Iterator[Choice]:
    """Yield ``KEY=`` for each parameter of the function that the target names."""
    file, _, name = str(ctx.params["target"]).rpartition(":")
    for function in _functions(Path(file)):
        if function.name == name:
            arguments = function.args
            for one in (*arguments.args, *arguments.kwonlyargs):
                yield f"{one.arg}=", ast.unparse(one.annotation) if one.annotation else ""


complete_runs = _choices(_runs)
complete_experiments = _choices(_experiments)
complete_tags = _choices(_tags)
complete_keys = _choices(_keys)
complete_contents = _choices(_contents)
complete_restorable = _choices(_restorable)
complete_files = _choices(_files)
complete_targets = _choices(_targets)
complete_settings = _choices(_settings)


def prepare_completion() -> None:
    """Register a bash completion for click that copes with colons."""
    from click.shell_completion import BashComplete, add_completion_class

    class Bash(BashComplete):
        """click's completion for bash, plus words with colons, and choices after which no space follows."""

        source_template = BashComplete.source_template.replace(
            "elif [[ $type == 'plain' ]]; then",
            "elif [[ $type == 'open' ]]; then\n            COMPREPLY+=($value)\n"
            "            compopt -o nospace\n        elif [[ $type == 'plain' ]]; then",
        )

        def get_completion_args(self) -> tuple[list[str], str]:
            args, incomplete = super().get_completion_args()
            words = _joined([*args, incomplete])
            self._before = words[-1].rpartition(":")[0]
            return words[:-1], words[-1]

        def format_completion(self, item: CompletionItem) -> str:
            # To bash, the part before the colon is another word, which is there already.
            value: Any = item.value
            if self._before:
                value = value.removeprefix(f"{self._before}:")
            is_open = item.type == "plain" and value.endswith(_OPEN)
            return f"{'open' if is_open else item.type},{value}"

    add_completion_class(Bash)


def _joined(words: list[str]) -> list[str]:
    """Join the words that bash has split at a colon."""
    joined: list[str] = []
    for word in words:
        if joined and (word.startswith(":") or joined[-1].endswith(":")):
            joined[-1] += word
        else:
            joined.append(word)
    return joined
