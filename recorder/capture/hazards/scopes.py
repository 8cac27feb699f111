"""Scopes of a source file: their nodes, imported names, and assignments, and what is known about the names of calls."""

from __future__ import annotations

import ast
import os
import threading
from collections.abc import Iterator, Sequence
from typing import TypeAlias

MAX_SOURCE_BYTES = 500_000
Scope: TypeAlias = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef
Assigned: TypeAlias = tuple[str, ast.expr]
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
COMPREHENSIONS = (ast.ListComp, ast.GeneratorExp)
# These calls ignore the order. max and min do too, unless a key makes items equal.
INDIFFERENT = frozenset(
    {"sorted", "sum", "len", "min", "max", "any", "all", "set", "frozenset", "Counter", "fsum", "prod", "update",
     "union", "intersection", "difference", "issubset", "issuperset", "isdisjoint"}
)  # fmt: skip
# These pass the items on in the order in which they get them.
_TRANSPARENT = frozenset({"list", "tuple", "iter", "reversed", "map", "filter", "enumerate", "zip"})
CLOCKS = frozenset(
    {"time.time", "time.time_ns", "time.perf_counter", "time.perf_counter_ns", "time.monotonic", "time.monotonic_ns",
     "time.process_time", "time.process_time_ns", "time.thread_time", "time.ctime", "time.localtime", "time.gmtime",
     "time.strftime", "time.asctime", "datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today",
     "datetime.date.today", "timeit.default_timer", "pandas.Timestamp.now", "pandas.Timestamp.today", "uuid.uuid1"}
)  # fmt: skip
_CLOCK_NAMES = frozenset(name.rpartition(".")[2] for name in CLOCKS)
# Before Python 3.12 two threads cannot parse at once: "AST constructor recursion depth mismatch" (CPython #106905).
_parsing = threading.Lock()
if hasattr(os, "register_at_fork"):  # a thread may hold it while another one forks
    os.register_at_fork(after_in_child=lambda: globals().update(_parsing=threading.Lock()))


def parse(source: bytes, file: str) -> ast.Module | None:
    """Parse a source file, or return None if that is impossible, or at this moment."""
    try:
        with _parsing:
            return ast.parse(source, filename=file)
    except (SyntaxError, ValueError, RecursionError):
        return None
    except SystemError:
        return None  # a thread of the program was parsing at the same time: see `_parsing`


def last_name(node: ast.expr) -> str:
    """Return ``rand`` for ``np.random.rand``, or "" for an expression without a name."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def text_of(node: ast.expr) -> str:
    """Return the source of the expression, shortened to 40 characters."""
    source = " ".join(ast.unparse(node).split())
    return source if len(source) <= 40 else source[:37] + "..."


def imported_names(nodes: Sequence[ast.AST]) -> Iterator[tuple[str, str]]:
    """Yield each imported name with its full name."""
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield (
                    alias.asname or alias.name.partition(".")[0],
                    (alias.name if alias.asname else alias.name.partition(".")[0]),
                )
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def own_nodes(scope: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a scope. Of a nested scope, yield only its root."""
    waiting = list(ast.iter_child_nodes(scope))
    while waiting:
        node = waiting.pop()
        _mark(node)
        yield node
        if isinstance(node, ast.Assert):
            waiting.append(node.test)  # its message is for people
        elif not isinstance(node, (*SCOPES, ast.Raise)):
            waiting += ast.iter_child_nodes(node)


def _mark(node: ast.AST) -> None:
    """Mark comprehensions and calls that are passed to a call that ignores the order."""
    if isinstance(node, ast.Call):
        name = last_name(node.func)
        indifferent = getattr(node, "is_indifferent", False) and name in _TRANSPARENT
        if name in INDIFFERENT or indifferent:
            for argument in node.args:
                if isinstance(argument, (*COMPREHENSIONS, ast.Call)):
                    argument.is_indifferent = True  # type: ignore[union-attr]


def assignments(nodes: Sequence[ast.AST]) -> list[Assigned]:
    """Return the assignments to names in the scope, in source order."""
    found: list[tuple[int, int, str, ast.expr]] = []
    for node in nodes:
        if isinstance(node, ast.Assign):
            names = [one.id for one in node.targets if isinstance(one, ast.Name)]
            names += _item_holders(node)
            found += [(node.lineno, node.col_offset, name, node.value) for name in names]
        elif isinstance(node, ast.AnnAssign | ast.AugAssign | ast.NamedExpr):
            target, value = node.target, node.value
            if isinstance(target, ast.Name) and value is not None:
                found.append((node.lineno, node.col_offset, target.id, value))
    found.sort(key=lambda one: one[:2])
    return [(name, value) for *_, name, value in found]


def _item_holders(node: ast.Assign) -> list[str]:
    """Return the names of containers that get a time as an item, as in ``row["at"] = time.time()``."""
    if not any(
        isinstance(x, ast.Call) and last_name(x.func) in _CLOCK_NAMES for x in ast.walk(node.value)
    ):
        return []
    targets = [one.value for one in node.targets if isinstance(one, ast.Subscript)]
    return [one.id for one in targets if isinstance(one, ast.Name)]
