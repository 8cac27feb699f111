"""Static detection of source lines whose behavior may change between runs: set order, hash(), id(), and the clock.

Python reports none of these at run time, so the source text is analyzed. A set is recognized by the expression that
creates it (a display, set(), an operator, or a name assigned one in the same function), not by data flow from
elsewhere. Whether the line ran is unknown. Sets of numbers have the same order in every process, and sorting,
counting, or summing ignores the order.
"""

from __future__ import annotations

import ast
import re
import threading
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, TypeAlias

MAX_SOURCE_BYTES = 500_000

_Scope: TypeAlias = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef
_Assigned: TypeAlias = tuple[str, ast.expr]
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
_COMPREHENSIONS = (ast.ListComp, ast.GeneratorExp, ast.DictComp)
_OPERATORS = (ast.BitOr, ast.BitAnd, ast.Sub, ast.BitXor)
_MAKERS = frozenset({"set", "frozenset"})
_METHODS = frozenset({"union", "intersection", "difference", "symmetric_difference"})
# These calls keep the order of the iterable. Other calls are unknown, and are left alone.
_ORDERED = frozenset(
    {"list", "tuple", "enumerate", "zip", "map", "filter", "iter", "str", "repr", "print", "fromkeys", "join",
     "array", "asarray", "Series", "Index", "chain", "islice", "cycle", "choice", "sample", "shuffle", "dumps"}
)  # fmt: skip
# These calls ignore the order. max and min do too, unless a key makes items equal.
_INDIFFERENT = frozenset(
    {"sorted", "sum", "len", "min", "max", "any", "all", "set", "frozenset", "Counter", "fsum", "prod", "update",
     "union", "intersection", "difference", "issubset", "issuperset", "isdisjoint"}
)  # fmt: skip
_CLOCKS = frozenset(
    {"time.time", "time.time_ns", "time.perf_counter", "time.perf_counter_ns", "time.monotonic", "time.monotonic_ns",
     "time.process_time", "time.process_time_ns", "time.thread_time", "time.ctime", "time.localtime", "time.gmtime",
     "time.strftime", "time.asctime", "datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today",
     "datetime.date.today", "timeit.default_timer", "pandas.Timestamp.now", "pandas.Timestamp.today", "uuid.uuid1"}
)  # fmt: skip
_KEEPERS = frozenset({"log", "save", "recorder.log", "recorder.save"})
# Source without any of these has no suspects: a word, or a brace that may begin a set.
_WORTH_PARSING = re.compile(
    rb"\b(?:set|frozenset|hash|id|keys|time|datetime|timeit|Timestamp|uuid1)\b|\{\s*[\w\"'(*-]"
)
_NUMBERS = frozenset({"int", "float", "bool", "complex"})


class Suspect(NamedTuple):
    """A line whose behavior may change between runs: the hazard's kind, the line number, and a short description.

    `inside` is the qualified name of the enclosing function or class, "" at module level.
    """

    kind: str
    line: int
    detail: str
    inside: str = ""


# Before Python 3.12 two threads cannot parse at once: "AST constructor recursion depth mismatch" (CPython #106905).
_parsing = threading.Lock()


@lru_cache(maxsize=512)
def suspects_in(file: str) -> tuple[Suspect, ...]:
    """Return the suspects of a source file as it was at the first call, or () if it cannot be parsed."""
    try:
        source = Path(file).read_bytes()
        if len(source) > MAX_SOURCE_BYTES or not _WORTH_PARSING.search(source):
            return ()
        with _parsing:
            tree = ast.parse(source, filename=file)
    except (OSError, SyntaxError, ValueError, RecursionError):
        return ()  # the file is gone, or the module was loaded in another way
    except SystemError:
        return ()  # a thread of the program was parsing at the same time: see `_parsing`
    return tuple(sorted(dict.fromkeys(_Pass(tree).suspects(tree)), key=lambda one: one.line))


class _Pass:
    """One pass over a module: the imported names, and in each scope the names that hold sets and times."""

    def __init__(self, tree: ast.Module) -> None:
        self._names: dict[str, str] = {}
        self._sets: frozenset[str] = frozenset()
        self._timed: frozenset[str] = frozenset()

    def suspects(self, scope: _Scope, inside: str = "") -> Iterator[Suspect]:
        """Yield the suspects of a scope and of the scopes in it."""
        around = self._names, self._sets, self._timed
        nodes = list(_own_nodes(scope))
        assigned = _assigned(nodes)
        self._names = {**self._names, **dict(_imports(nodes))}
        self._sets = _named_sets(scope, assigned, self._sets)
        self._timed = self._named_times(assigned)
        for node in nodes:
            if isinstance(node, _SCOPES):
                name = getattr(node, "name", "<lambda>")
                yield from self.suspects(node, f"{inside}.{name}" if inside else name)
            else:
                yield from (one._replace(inside=inside) for one in self._of(node, scope))
        if isinstance(scope, ast.Lambda):
            yield from (one._replace(inside=inside) for one in self._kept(scope.body))
        self._names, self._sets, self._timed = around

    def _of(self, node: ast.AST, scope: _Scope) -> Iterator[Suspect]:
        """Yield the suspects of one node."""
        yield from self._orders(node)
        yield from self._calls(node, scope)
        yield from self._flows(node)

    def _orders(self, node: ast.AST) -> Iterator[Suspect]:
        for iterated in self._iterated(node):
            if self._is_set(iterated):
                yield Suspect("hash order", iterated.lineno, f"the order of {_text(iterated)}")

    def _iterated(self, node: ast.AST) -> Iterator[ast.expr]:
        """Yield the expressions that the node iterates over in order."""
        if isinstance(node, ast.For | ast.AsyncFor):
            yield node.iter
        elif isinstance(node, _COMPREHENSIONS):
            if not getattr(node, "is_indifferent", False):
                yield from (one.iter for one in node.generators)
        elif (isinstance(node, ast.Starred) and isinstance(node.ctx, ast.Load)) or isinstance(
            node, ast.FormattedValue
        ):
            yield node.value
        elif isinstance(node, ast.Call):
            yield from _taken_in_order(node)

    def _calls(self, node: ast.AST, scope: _Scope) -> Iterator[Suspect]:
        if not isinstance(node, ast.Call):
            return
        name = self._dotted(node.func)
        if name in _CLOCKS:
            yield Suspect("clock read", node.lineno, f"{name}()")
        elif name == "hash" and getattr(scope, "name", "") != "__hash__" and node.args:
            if not _is_number(node.args[0]):
                yield Suspect("hash order", node.lineno, _text(node))
        elif name == "id" and len(node.args) == 1:
            yield Suspect("address", node.lineno, "id()")

    def _flows(self, node: ast.AST) -> Iterator[Suspect]:
        """Yield the clock readings that are returned, logged, or saved."""
        if isinstance(node, ast.Return) and node.value is not None:
            yield from self._kept(node.value)
        elif isinstance(node, ast.Call):
            name = self._dotted(node.func)
            if name in _KEEPERS or name.endswith((".log", ".save")):
                for value in (*node.args, *(keyword.value for keyword in node.keywords)):
                    yield from self._kept(value)

    def _kept(self, value: ast.expr) -> Iterator[Suspect]:
        for node in ast.walk(value):
            if isinstance(node, ast.Call) and self._dotted(node.func) in _CLOCKS:
                yield Suspect("clock", node.lineno, f"{self._dotted(node.func)}()")
            elif isinstance(node, ast.Name) and node.id in self._timed:
                yield Suspect("clock", node.lineno, node.id)

    def _named_times(self, assigned: Sequence[_Assigned]) -> frozenset[str]:
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
        return isinstance(node, ast.Call) and self._dotted(node.func) in _CLOCKS

    def _is_set(self, node: ast.expr) -> bool:
        return _makes_set(node, self._sets)

    def _dotted(self, node: ast.expr) -> str:
        """Return the full dotted name, such as ``numpy.random.rand`` for ``np.random.rand``, or ""."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        return ".".join([self._names.get(node.id, node.id), *reversed(parts)])


def _imports(nodes: Sequence[ast.AST]) -> Iterator[tuple[str, str]]:
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


def _own_nodes(scope: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a scope. Of a nested scope, yield only its root."""
    waiting = list(ast.iter_child_nodes(scope))
    while waiting:
        node = waiting.pop()
        _mark(node)
        yield node
        if not isinstance(node, _SCOPES):
            waiting += ast.iter_child_nodes(node)


def _mark(node: ast.AST) -> None:
    """Mark a comprehension that is passed directly to a call that ignores the order."""
    if isinstance(node, ast.Call) and _last_name(node.func) in _INDIFFERENT:
        for argument in node.args:
            if isinstance(argument, _COMPREHENSIONS):
                argument.is_indifferent = True  # type: ignore[union-attr]


def _taken_in_order(node: ast.Call) -> Iterator[ast.expr]:
    name = _last_name(node.func)
    if name == "pop" and isinstance(node.func, ast.Attribute) and not node.args:
        yield node.func.value
    elif name in _ORDERED:
        yield from node.args


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _assigned(nodes: Sequence[ast.AST]) -> list[_Assigned]:
    """Return the assignments to names in the scope, in source order."""
    found: list[tuple[int, int, str, ast.expr]] = []
    for node in nodes:
        if isinstance(node, ast.Assign):
            names = [one.id for one in node.targets if isinstance(one, ast.Name)]
            found += [(node.lineno, node.col_offset, name, node.value) for name in names]
        elif isinstance(node, ast.AnnAssign | ast.AugAssign | ast.NamedExpr):
            target, value = node.target, node.value
            if isinstance(target, ast.Name) and value is not None:
                found.append((node.lineno, node.col_offset, target.id, value))
    found.sort(key=lambda one: one[:2])
    return [(name, value) for *_, name, value in found]


def _named_sets(
    scope: ast.AST, assigned: Sequence[_Assigned], known: frozenset[str]
) -> frozenset[str]:
    """Return the names that hold a set in this scope: inherited ones that it does not assign, and its own."""
    arguments = getattr(scope, "args", None)
    own: set[str] = set()
    if isinstance(arguments, ast.arguments):
        listed = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        known -= {one.arg for one in listed}
        own |= {one.arg for one in listed if _says_set(one.annotation)}
    known -= {name for name, _ in assigned}
    for name, value in assigned:
        if _makes_set(value, known | own):
            own.add(name)
        elif _is_wrapped(value):
            own.discard(name)  # names = sorted(names)
    return known | own


def _is_wrapped(value: ast.expr) -> bool:
    return isinstance(value, ast.Call) and _last_name(value.func) in ("sorted", "list", "tuple")


def _says_set(annotation: ast.expr | None) -> bool:
    """Return True if the annotation of a parameter declares a set that is not one of numbers."""
    if not isinstance(annotation, ast.Subscript):
        return isinstance(annotation, ast.Name) and annotation.id in _MAKERS
    of = _last_name(annotation.slice)
    return _last_name(annotation.value) in _MAKERS and of not in _NUMBERS


def _makes_set(node: ast.expr, names: frozenset[str]) -> bool:
    """Return True if the expression is a set that does not consist of numbers alone."""
    if isinstance(node, ast.Set):
        return not all(map(_is_number, node.elts))
    if isinstance(node, ast.SetComp):
        return not _is_number(node.elt)
    if isinstance(node, ast.Name):
        return node.id in names
    if isinstance(node, ast.BinOp) and isinstance(node.op, _OPERATORS):
        return any(_makes_set(side, names) or _is_keys(side) for side in (node.left, node.right))
    if isinstance(node, ast.IfExp):
        return _makes_set(node.body, names) or _makes_set(node.orelse, names)
    return isinstance(node, ast.Call) and _calls_set(node, names)


def _calls_set(node: ast.Call, names: frozenset[str]) -> bool:
    if isinstance(node.func, ast.Name) and node.func.id in _MAKERS:
        return bool(node.args) and not _are_numbers(node.args[0])
    if isinstance(node.func, ast.Attribute) and node.func.attr in (*_METHODS, "copy"):
        return _makes_set(node.func.value, names)
    return False


def _is_keys(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and _last_name(node.func) == "keys"


def _are_numbers(node: ast.expr) -> bool:
    """Return True if the items of a set are visibly numbers alone."""
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        return all(map(_is_number, node.elts))
    if isinstance(node, ast.GeneratorExp | ast.ListComp):
        return _is_number(node.elt)
    return isinstance(node, ast.Call) and _last_name(node.func) in ("range", "arange")


def _is_number(node: ast.expr) -> bool:
    if isinstance(node, ast.UnaryOp):
        return _is_number(node.operand)
    if isinstance(node, ast.Call):
        return _last_name(node.func) in (*_NUMBERS, "len", "round", "ord", "abs")
    return isinstance(node, ast.Constant) and isinstance(node.value, int | float | complex)


def _text(node: ast.expr) -> str:
    """Return the source of the expression, shortened to 40 characters."""
    source = " ".join(ast.unparse(node).split())
    return source if len(source) <= 40 else source[:37] + "..."
