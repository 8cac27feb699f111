"""What the shell completes: runs, experiments, tags, names of outputs, keys of the config, files and functions.

The shell is click's; bash, which takes ``train.py:train`` for three words, is helped along. A completion says nothing
of what goes wrong: there is nothing to choose from, then.
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

    from ..records import Record
    from ..store.store import RunStore

# A choice, and a word about it, which zsh and fish show.
Choice: TypeAlias = tuple[str, str]
Complete: TypeAlias = Callable[[click.Context, click.Parameter, str], "list[CompletionItem]"]

# So many of the newest runs are offered, and asked for the keys of their config.
_NEWEST = 20
# Behind these something more is written.
_OPEN = ("=", ":", "/")


def _choices(find: Callable[[click.Context, str], Iterable[Choice]]) -> Complete:
    """What a parameter of click's wants, of a function that gives choices for what was typed."""

    def complete(
        ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        try:
            found = [one for one in find(ctx, incomplete) if one[0].startswith(incomplete)]
        except (RecorderError, OSError, SyntaxError, ValueError):
            return []
        return [CompletionItem(value, help=said) for value, said in dict(found).items()]

    return complete


def _store(ctx: click.Context) -> RunStore:
    from ..store.store import RunStore

    return RunStore(ctx.find_root().params.get("store"))


def _runs(ctx: click.Context, incomplete: str) -> Iterator[Choice]:
    """Numbers of the newest, experiments, tags, and ids that begin so."""
    from ..render.text import age

    store = _store(ctx)
    newest = store.runs(last=_NEWEST)[::-1]
    if not incomplete or incomplete.isdecimal():
        for record in newest if not incomplete else store.runs():
            yield str(record.number), f"{record.experiment}, {record.status}, {age(record.started)}"
    if not incomplete.isdecimal():
        yield "last", "the newest run"
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
    """Names of fields, of the config and of metrics: the last one of a list, or of a query."""
    from ..store.query.fields import FIELDS, known_names

    before = incomplete[: len(incomplete) - len(_last_name(incomplete))]
    known = dict.fromkeys(FIELDS, "field")
    for record in _store(ctx).runs(last=_NEWEST):
        known |= dict.fromkeys(sorted(known_names(record.to_document())), "")
    yield from ((before + name, said) for name, said in known.items())


def _last_name(text: str) -> str:
    """What stands at the end of the text that may be the beginning of a name."""
    at = len(text)
    while at and (text[at - 1].isalnum() or text[at - 1] in "._"):
        at -= 1
    return text[at:]


def _contents(ctx: click.Context, incomplete: str) -> Iterator[Choice]:
    """``RUN:NAME``."""
    from ..store.content.contents import content_names

    run, colon, _ = incomplete.partition(":")
    if not colon:
        yield from ((f"{value}:", said) for value, said in _runs(ctx, incomplete))
        return
    for name in content_names(_store(ctx).find(run)):
        yield f"{run}:{name}", ""


def _record(ctx: click.Context) -> Record:
    return _store(ctx).find(ctx.params["run"])


def _outputs(ctx: click.Context, incomplete: str) -> Iterator[Choice]:
    yield from ((output.name, output.kind) for output in _record(ctx).outputs)


def _files(ctx: click.Context, incomplete: str) -> Iterator[Choice]:
    code = _record(ctx).code
    if code is not None and code.snapshot is not None:
        yield from ((path, "") for path in _store(ctx).snapshots.files(code.snapshot))


def _targets(ctx: click.Context, incomplete: str) -> Iterator[Choice]:
    """``FILE.py:NAME``: files first, then the functions of one, the recorded ones first."""
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
    """``KEY=``: the parameters of the function that the target names."""
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
complete_outputs = _choices(_outputs)
complete_files = _choices(_files)
complete_targets = _choices(_targets)
complete_settings = _choices(_settings)


def prepare_completion() -> None:
    """Give click a bash that copes with colons."""
    from click.shell_completion import BashComplete, add_completion_class

    class Bash(BashComplete):
        """click's, but for words with colons, and choices behind which one goes on writing."""

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
            # What stands before the colon is another word to bash: it is there already.
            value: Any = item.value
            if self._before:
                value = value.removeprefix(f"{self._before}:")
            is_open = item.type == "plain" and value.endswith(_OPEN)
            return f"{'open' if is_open else item.type},{value}"

    add_completion_class(Bash)


def _joined(words: list[str]) -> list[str]:
    """The words with those put together again that bash has taken apart at a colon."""
    found: list[str] = []
    for word in words:
        if found and (word.startswith(":") or found[-1].endswith(":")):
            found[-1] += word
        else:
            found.append(word)
    return found
