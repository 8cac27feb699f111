"""Static detection of source lines whose behavior may change between runs.

These are set order, hash(), id(), the clock, and the completion order of threads and workers.

Python reports none of these at run time, so the source text is analyzed. A set is recognized by the expression that
creates it (a display, set(), an operator, a function of the module that returns one), by the name it is assigned to in
the same function, and by what `add` puts into it. Whether the line ran is unknown. Sets of numbers have the same order
in every process. Sorting, counting, summing, or filling a dict ignores the order.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from .scopes import (
    CLOCKS,
    COMPREHENSIONS,
    INDIFFERENT,
    MAX_SOURCE_BYTES,
    SCOPES,
    Assigned,
    Scope,
    assignments,
    imported_names,
    last_name,
    own_nodes,
    parse,
    text_of,
)
from .sets import creates_set, filled_sets, is_number, named_numbers, named_sets, returns_set

# These calls keep the order of the iterable. Other calls are unknown, and are left alone.
_ORDERED = frozenset(
    {"list", "tuple", "enumerate", "zip", "map", "filter", "iter", "str", "repr", "print", "join",
     "array", "asarray", "Series", "Index", "chain", "islice", "cycle", "choice", "sample", "shuffle", "dumps"}
)  # fmt: skip
# Calls whose arguments become a metric or an output.
_KEEPERS = frozenset(
    {"recorder.log", "recorder.save", "numpy.save", "numpy.savez", "numpy.savez_compressed", "numpy.savetxt",
     "torch.save", "json.dump", "json.dumps", "pickle.dump", "pickle.dumps", "yaml.dump"}
)  # fmt: skip
_RUNS = frozenset({"recorder.start_run", "recorder.current_run"})
_UNORDERED = frozenset({"concurrent.futures.as_completed", "asyncio.as_completed", "as_completed"})
# Source without any of these has no suspects: a word, or a brace that may begin a set.
_WORTH_PARSING = re.compile(
    rb"\b(?:set|frozenset|hash|id|keys|time|datetime|timeit|Timestamp|uuid1|as_completed|imap_unordered|Thread)\b|\{\s*[\w\"'(*-]"
)


class Suspect(NamedTuple):
    """A line whose behavior may change between runs: the hazard's kind, the line number, and a short description.

    `inside` is the qualified name of the enclosing function or class, "" at module level. `is_return` is True if the
    line matters only in the experiment's own function, because it returns the value.
    """

    kind: str
    line: int
    detail: str
    inside: str = ""
    is_return: bool = False


@lru_cache(maxsize=512)
def suspects_in(file: str) -> tuple[Suspect, ...]:
    """Return the suspects of a source file as it was at the first call, or () if it cannot be parsed."""
    try:
        source = Path(file).read_bytes()
        if len(source) > MAX_SOURCE_BYTES or not _WORTH_PARSING.search(source):
            return ()
    except OSError:
        return ()  # the file is gone, or the module was loaded in another way
    tree = parse(source, file)
    if tree is None:
        return ()
    return tuple(sorted(dict.fromkeys(_Pass(tree).suspects(tree)), key=lambda one: one.line))


class _Pass:
    """One pass over a module: the imported names, and in each scope the names that hold sets and times."""

    def __init__(self, tree: ast.Module) -> None:
        self._names: dict[str, str] = {}
        self._sets: frozenset[str] = frozenset()
        self._timed: frozenset[str] = frozenset()
        self._clock_functions: frozenset[str] = frozenset()
        self._timed_attributes: frozenset[str] = frozenset()
        self._numbers: frozenset[str] = frozenset()
        functions = [
            n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)
        ]
        # Functions of the module that return a set, or a time, by name.
        self._set_functions = frozenset(f.name for f in functions if returns_set(f))
        self._names = dict(imported_names(list(ast.walk(tree))))
        self._clock_functions = frozenset(f.name for f in functions if self._returns_time(f))
        self._timed_attributes = frozenset(self._clocked_attributes(tree))
        self._run_names = frozenset(self._named_runs(tree))
        self._targets = frozenset(_thread_targets(tree))
        self._sorted_names = frozenset(_sorted_names(tree))

    def _returns_time(self, function: ast.AST) -> bool:
        returned = [n.value for n in own_nodes(function) if isinstance(n, ast.Return) and n.value]
        return any(self._is_time(x, set()) for value in returned for x in ast.walk(value))

    def _clocked_attributes(self, tree: ast.Module) -> Iterator[str]:
        """Yield the names of attributes that are assigned a time, as in ``self.start = time.time()``."""
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and any(
                self._is_time(x, set()) for x in ast.walk(node.value)
            ):
                yield from (one.attr for one in node.targets if isinstance(one, ast.Attribute))

    def _named_runs(self, tree: ast.Module) -> Iterator[str]:
        """Yield the names of recorder's run objects."""
        for node in ast.walk(tree):
            if isinstance(node, ast.withitem) and isinstance(node.optional_vars, ast.Name):
                value, name = node.context_expr, node.optional_vars.id
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                value, name = node.value, node.targets[0].id
            else:
                continue
            if isinstance(value, ast.Call) and self._dotted(value.func) in _RUNS:
                yield name

    def suspects(self, scope: Scope, inside: str = "") -> Iterator[Suspect]:
        """Yield the suspects of a scope and of the scopes in it."""
        around = self._names, self._sets, self._timed, self._numbers
        nodes = list(own_nodes(scope))
        assigned = assignments(nodes)
        self._names = {**self._names, **dict(imported_names(nodes))}
        self._numbers = named_numbers(nodes, assigned, self._numbers)
        filled = filled_sets(nodes, assigned, self._numbers)
        self._sets = named_sets(scope, assigned, self._sets, self._is_set_value) | filled
        self._timed = self._named_times(assigned)
        for node in nodes:
            if isinstance(node, SCOPES):
                name = getattr(node, "name", "<lambda>")
                yield from self.suspects(node, f"{inside}.{name}" if inside else name)
            else:
                found = (*self._orders(node), *self._calls(node, scope), *self._flows(node))
                yield from (one._replace(inside=inside) for one in found)
                if getattr(scope, "name", "") in self._targets:
                    yield from (
                        one._replace(inside=inside) for one in self._appended(node, assigned)
                    )
        if isinstance(scope, ast.Lambda):
            yield from (one._replace(inside=inside) for one in self._kept(scope.body))
        self._names, self._sets, self._timed, self._numbers = around

    def _appended(self, node: ast.AST, assigned: Sequence[Assigned]) -> Iterator[Suspect]:
        """Yield the lines on which a thread appends to a list that it shares with others."""
        if not (isinstance(node, ast.Call) and last_name(node.func) == "append"):
            return
        holder = node.func.value if isinstance(node.func, ast.Attribute) else None
        own = {name for name, _ in assigned} | self._sorted_names
        if isinstance(holder, ast.Name) and holder.id not in own:
            yield Suspect("completion order", node.lineno, f"{holder.id}.append() in threads")

    def _orders(self, node: ast.AST) -> Iterator[Suspect]:
        for iterated in self._iterated(node):
            if self._is_set_value(iterated):
                yield Suspect("hash order", iterated.lineno, f"the order of {text_of(iterated)}")
            elif self._is_unordered(iterated):
                yield Suspect("completion order", iterated.lineno, text_of(iterated))

    def _is_unordered(self, node: ast.expr) -> bool:
        """Return True if the expression yields results in the order in which they become ready."""
        if not isinstance(node, ast.Call):
            return False
        return self._dotted(node.func) in _UNORDERED or last_name(node.func) == "imap_unordered"

    def _iterated(self, node: ast.AST) -> Iterator[ast.expr]:
        """Yield the expressions that the node iterates over in order."""
        if isinstance(node, ast.For | ast.AsyncFor):
            if not is_indifferent_loop(node.body):
                yield node.iter
        elif isinstance(node, COMPREHENSIONS):
            if not getattr(node, "is_indifferent", False):
                yield from (one.iter for one in node.generators)
        elif (isinstance(node, ast.Starred) and isinstance(node.ctx, ast.Load)) or isinstance(
            node, ast.FormattedValue
        ):
            yield node.value
        elif isinstance(node, ast.Call) and not getattr(node, "is_indifferent", False):
            yield from _taken_in_order(node)

    def _calls(self, node: ast.AST, scope: Scope) -> Iterator[Suspect]:
        if not isinstance(node, ast.Call):
            return
        name = self._dotted(node.func)
        if name in CLOCKS:
            yield Suspect("clock read", node.lineno, f"{name}()")
        elif name == "hash" and getattr(scope, "name", "") != "__hash__" and node.args:
            if not is_number(node.args[0], self._numbers):
                yield Suspect("hash order", node.lineno, text_of(node))
        elif name == "id" and len(node.args) == 1:
            yield Suspect("address", node.lineno, "id()")

    def _flows(self, node: ast.AST) -> Iterator[Suspect]:
        """Yield the clock readings that are returned, logged, or saved."""
        if isinstance(node, ast.Return) and node.value is not None:
            yield from (one._replace(is_return=True) for one in self._kept(node.value))
        elif isinstance(node, ast.Call):
            name = self._dotted(node.func)
            of_run = name.endswith((".log", ".save")) and name.partition(".")[0] in self._run_names
            if name in _KEEPERS or of_run:
                for value in (*node.args, *(keyword.value for keyword in node.keywords)):
                    yield from self._kept(value)

    def _kept(self, value: ast.expr) -> Iterator[Suspect]:
        for node in ast.walk(value):
            if isinstance(node, ast.Call) and self._dotted(node.func) in CLOCKS:
                yield Suspect("clock", node.lineno, f"{self._dotted(node.func)}()")
            elif isinstance(node, ast.Name) and node.id in self._timed:
                yield Suspect("clock", node.lineno, node.id)
            elif isinstance(node, ast.expr) and self._is_time(node, set()):
                yield Suspect("clock", node.lineno, text_of(node))

    def _named_times(self, assigned: Sequence[Assigned]) -> frozenset[str]:
        """Return the names that hold a time or a value computed from one, as in ``took = time.time() - start``."""
        found: set[str] = set()
        for _ in range(2):  # a name can be used above its assignment
            found |= {
                n for n, value in assigned if any(self._is_time(x, found) for x in ast.walk(value))
            }
        return frozenset(found)

    def _is_time(self, node: ast.AST, names: set[str]) -> bool:
        if isinstance(node, ast.Name):
            return node.id in names
        if isinstance(node, ast.Attribute):
            return node.attr in self._timed_attributes
        if not isinstance(node, ast.Call):
            return False
        name = self._dotted(node.func)
        return name in CLOCKS or name in self._clock_functions

    def _is_set_value(self, node: ast.expr, names: frozenset[str] | None = None) -> bool:
        names = self._sets if names is None else names
        return creates_set(node, names, numbers=self._numbers, functions=self._set_functions)

    def _dotted(self, node: ast.expr) -> str:
        """Return the full dotted name, such as ``numpy.random.rand`` for ``np.random.rand``, or ""."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        return ".".join([self._names.get(node.id, node.id), *reversed(parts)])


def is_indifferent_loop(body: Sequence[ast.stmt]) -> bool:
    """Return True if the order in which the body runs does not matter: it fills a dict or a set, or counts."""
    for one in body:
        if isinstance(one, ast.Assign):
            if not all(isinstance(target, ast.Subscript) for target in one.targets):
                return False
        elif isinstance(one, ast.AugAssign):
            if not (isinstance(one.op, ast.Add) and is_number(one.value) and _is_whole(one.value)):
                return False
        elif isinstance(one, ast.Expr):
            names = ("add", "discard", "remove", "unlink", "update")
            if not (isinstance(one.value, ast.Call) and last_name(one.value.func) in names):
                return False
        elif isinstance(one, ast.If):
            if not (is_indifferent_loop(one.body) and is_indifferent_loop(one.orelse)):
                return False
        elif not isinstance(one, ast.Pass | ast.Continue | ast.Assert | ast.Delete):
            return False
    return True


def _is_whole(node: ast.expr) -> bool:
    """Return True if the number is visibly an integer, whose sums do not depend on the order."""
    if isinstance(node, ast.Call):
        return last_name(node.func) in ("int", "len", "ord")
    return isinstance(node, ast.Constant) and isinstance(node.value, int)


def _thread_targets(tree: ast.Module) -> Iterator[str]:
    """Yield the names of functions that run in threads."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = last_name(node.func)
            targets = [k.value for k in node.keywords if k.arg == "target" and name == "Thread"]
            targets += node.args[:1] if name == "submit" else []
            yield from (one.id for one in targets if isinstance(one, ast.Name))


def _sorted_names(tree: ast.Module) -> Iterator[str]:
    """Yield the names that the module sorts, or passes to a call that ignores the order."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if last_name(node.func) in INDIFFERENT:
                yield from (one.id for one in node.args if isinstance(one, ast.Name))
            holder = node.func.value if isinstance(node.func, ast.Attribute) else None
            if isinstance(holder, ast.Name) and last_name(node.func) == "sort":
                yield holder.id


def _taken_in_order(node: ast.Call) -> Iterator[ast.expr]:
    name = last_name(node.func)
    if name == "pop" and isinstance(node.func, ast.Attribute) and not node.args:
        yield node.func.value
    elif name in _ORDERED:
        yield from node.args
