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
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, TypeAlias

MAX_SOURCE_BYTES = 500_000

_Scope: TypeAlias = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef
_Assigned: TypeAlias = tuple[str, ast.expr]
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
_COMPREHENSIONS = (ast.ListComp, ast.GeneratorExp)
_OPERATORS = (ast.BitOr, ast.BitAnd, ast.Sub, ast.BitXor)
_MAKERS = frozenset({"set", "frozenset"})
_METHODS = frozenset({"union", "intersection", "difference", "symmetric_difference"})
# These calls keep the order of the iterable. Other calls are unknown, and are left alone.
_ORDERED = frozenset(
    {"list", "tuple", "enumerate", "zip", "map", "filter", "iter", "str", "repr", "print", "join",
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
# Calls whose arguments become a metric or an output.
_KEEPERS = frozenset(
    {"recorder.log", "recorder.save", "numpy.save", "numpy.savez", "numpy.savez_compressed", "numpy.savetxt",
     "torch.save", "json.dump", "json.dumps", "pickle.dump", "pickle.dumps", "yaml.dump"}
)  # fmt: skip
_RUNS = frozenset({"recorder.start_run", "recorder.current_run"})
# These pass the items on in the order in which they get them.
_TRANSPARENT = frozenset({"list", "tuple", "iter", "reversed", "map", "filter", "enumerate", "zip"})
_UNORDERED = frozenset({"concurrent.futures.as_completed", "asyncio.as_completed", "as_completed"})
# Source without any of these has no suspects: a word, or a brace that may begin a set.
_WORTH_PARSING = re.compile(
    rb"\b(?:set|frozenset|hash|id|keys|time|datetime|timeit|Timestamp|uuid1|as_completed|imap_unordered|Thread)\b|\{\s*[\w\"'(*-]"
)
_NUMBERS = frozenset({"int", "float", "bool", "complex"})
# Calls that return numbers alone, and those that do if their argument does.
_NUMERIC_CALLS = frozenset(
    {
        "range",
        "arange",
        "linspace",
        "zeros",
        "ones",
        "randint",
        "integers",
        "permutation",
        "bincount",
        "argsort",
    }
)
_WRAPPERS = frozenset({"array", "asarray", "tensor", "unique", "list", "tuple", "sorted", "set"})
_CLOCK_NAMES = frozenset(name.rpartition(".")[2] for name in _CLOCKS)


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


# Before Python 3.12 two threads cannot parse at once: "AST constructor recursion depth mismatch" (CPython #106905).
_parsing = threading.Lock()


def parse(source: bytes, file: str) -> ast.Module | None:
    """Parse a source file, or return None if that is impossible, or at this moment."""
    try:
        with _parsing:
            return ast.parse(source, filename=file)
    except (SyntaxError, ValueError, RecursionError):
        return None
    except SystemError:
        return None  # a thread of the program was parsing at the same time: see `_parsing`


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
        self._set_functions = frozenset(f.name for f in functions if _returns_set(f))
        self._names = dict(_imports(list(ast.walk(tree))))
        self._clock_functions = frozenset(f.name for f in functions if self._returns_time(f))
        self._timed_attributes = frozenset(self._clocked_attributes(tree))
        self._run_names = frozenset(self._named_runs(tree))
        self._targets = frozenset(_thread_targets(tree))
        self._sorted_names = frozenset(_sorted_names(tree))

    def _returns_time(self, function: ast.AST) -> bool:
        returned = [n.value for n in _own_nodes(function) if isinstance(n, ast.Return) and n.value]
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

    def suspects(self, scope: _Scope, inside: str = "") -> Iterator[Suspect]:
        """Yield the suspects of a scope and of the scopes in it."""
        around = self._names, self._sets, self._timed, self._numbers
        nodes = list(_own_nodes(scope))
        assigned = _assigned(nodes)
        self._names = {**self._names, **dict(_imports(nodes))}
        self._numbers = _named_numbers(nodes, assigned, self._numbers)
        filled = _filled_sets(nodes, assigned, self._numbers)
        self._sets = _named_sets(scope, assigned, self._sets, self._is_set_value) | filled
        self._timed = self._named_times(assigned)
        for node in nodes:
            if isinstance(node, _SCOPES):
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

    def _appended(self, node: ast.AST, assigned: Sequence[_Assigned]) -> Iterator[Suspect]:
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
                yield Suspect("hash order", iterated.lineno, f"the order of {_text(iterated)}")
            elif self._is_unordered(iterated):
                yield Suspect("completion order", iterated.lineno, _text(iterated))

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
        elif isinstance(node, _COMPREHENSIONS):
            if not getattr(node, "is_indifferent", False):
                yield from (one.iter for one in node.generators)
        elif (isinstance(node, ast.Starred) and isinstance(node.ctx, ast.Load)) or isinstance(
            node, ast.FormattedValue
        ):
            yield node.value
        elif isinstance(node, ast.Call) and not getattr(node, "is_indifferent", False):
            yield from _taken_in_order(node)

    def _calls(self, node: ast.AST, scope: _Scope) -> Iterator[Suspect]:
        if not isinstance(node, ast.Call):
            return
        name = self._dotted(node.func)
        if name in _CLOCKS:
            yield Suspect("clock read", node.lineno, f"{name}()")
        elif name == "hash" and getattr(scope, "name", "") != "__hash__" and node.args:
            if not _is_number(node.args[0], self._numbers):
                yield Suspect("hash order", node.lineno, _text(node))
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
            if isinstance(node, ast.Call) and self._dotted(node.func) in _CLOCKS:
                yield Suspect("clock", node.lineno, f"{self._dotted(node.func)}()")
            elif isinstance(node, ast.Name) and node.id in self._timed:
                yield Suspect("clock", node.lineno, node.id)
            elif isinstance(node, ast.expr) and self._is_time(node, set()):
                yield Suspect("clock", node.lineno, _text(node))

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
        if isinstance(node, ast.Attribute):
            return node.attr in self._timed_attributes
        if not isinstance(node, ast.Call):
            return False
        name = self._dotted(node.func)
        return name in _CLOCKS or name in self._clock_functions

    def _is_set_value(self, node: ast.expr, names: frozenset[str] | None = None) -> bool:
        names = self._sets if names is None else names
        return _makes_set(node, names, numbers=self._numbers, functions=self._set_functions)

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
        if isinstance(node, ast.Assert):
            waiting.append(node.test)  # its message is for people
        elif not isinstance(node, (*_SCOPES, ast.Raise)):
            waiting += ast.iter_child_nodes(node)


def _mark(node: ast.AST) -> None:
    """Mark comprehensions and calls that are passed to a call that ignores the order."""
    if isinstance(node, ast.Call):
        name = last_name(node.func)
        indifferent = getattr(node, "is_indifferent", False) and name in _TRANSPARENT
        if name in _INDIFFERENT or indifferent:
            for argument in node.args:
                if isinstance(argument, (*_COMPREHENSIONS, ast.Call)):
                    argument.is_indifferent = True  # type: ignore[union-attr]


def is_indifferent_loop(body: Sequence[ast.stmt]) -> bool:
    """Return True if the order in which the body runs does not matter: it fills a dict or a set, or counts."""
    for one in body:
        if isinstance(one, ast.Assign):
            if not all(isinstance(target, ast.Subscript) for target in one.targets):
                return False
        elif isinstance(one, ast.AugAssign):
            if not (isinstance(one.op, ast.Add) and _is_number(one.value) and _is_whole(one.value)):
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


def _returns_set(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    if _says_set(function.returns):
        return True
    nodes = list(_own_nodes(function))
    assigned = _assigned(nodes)
    numbers = _named_numbers(nodes, assigned, frozenset())
    names = _named_sets(function, assigned, frozenset()) | _filled_sets(nodes, assigned, numbers)
    returned = [node.value for node in nodes if isinstance(node, ast.Return) and node.value]
    return bool(returned) and all(_makes_set(value, names, numbers=numbers) for value in returned)


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
            if last_name(node.func) in _INDIFFERENT:
                yield from (one.id for one in node.args if isinstance(one, ast.Name))
            holder = node.func.value if isinstance(node.func, ast.Attribute) else None
            if isinstance(holder, ast.Name) and last_name(node.func) == "sort":
                yield holder.id


def _named_numbers(
    nodes: Sequence[ast.AST], assigned: Sequence[_Assigned], known: frozenset[str]
) -> frozenset[str]:
    """Return the names that hold a number, or only numbers, in this scope."""
    names = set(known) - {name for name, _ in assigned}
    for name, value in assigned:
        if _is_number(value, frozenset(names)) or _are_numbers(value, frozenset(names)):
            names.add(name)
        else:
            names.discard(name)
    for node in nodes:
        if (
            isinstance(node, ast.For | ast.comprehension)
            and isinstance(node.target, ast.Name)
            and _are_numbers(node.iter, frozenset(names))
        ):
            names.add(node.target.id)
    return frozenset(names)


def _filled_sets(
    nodes: Sequence[ast.AST], assigned: Sequence[_Assigned], numbers: frozenset[str]
) -> frozenset[str]:
    """Return the names of sets that begin empty and are filled by `add` or `update`, not with numbers alone."""
    empty = {
        name
        for name, value in assigned
        if isinstance(value, ast.Call) and last_name(value.func) == "set" and not value.args
    }
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            holder, item = node.func.value, node.args[0]
            if isinstance(holder, ast.Name) and holder.id in empty:
                are_numbers = {"add": _is_number, "update": _are_numbers}.get(node.func.attr)
                if are_numbers is not None and not are_numbers(item, numbers):
                    found.add(holder.id)
    rebound = {name for name, value in assigned if _is_wrapped(value)}
    return frozenset(found - rebound)


def _taken_in_order(node: ast.Call) -> Iterator[ast.expr]:
    name = last_name(node.func)
    if name == "pop" and isinstance(node.func, ast.Attribute) and not node.args:
        yield node.func.value
    elif name in _ORDERED:
        yield from node.args


def last_name(node: ast.expr) -> str:
    """Return ``rand`` for ``np.random.rand``, or "" for an expression without a name."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _assigned(nodes: Sequence[ast.AST]) -> list[_Assigned]:
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


def _named_sets(
    scope: ast.AST,
    assigned: Sequence[_Assigned],
    known: frozenset[str],
    makes_set: Callable[[ast.expr, frozenset[str]], bool] | None = None,
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
        if (makes_set or _makes_set)(value, known | own):
            own.add(name)
        elif _is_wrapped(value):
            own.discard(name)  # names = sorted(names)
    return known | own


def _is_wrapped(value: ast.expr) -> bool:
    return isinstance(value, ast.Call) and last_name(value.func) in ("sorted", "list", "tuple")


def _says_set(annotation: ast.expr | None) -> bool:
    """Return True if the annotation of a parameter declares a set that is not one of numbers."""
    if not isinstance(annotation, ast.Subscript):
        return isinstance(annotation, ast.Name) and annotation.id in _MAKERS
    of = last_name(annotation.slice)
    return last_name(annotation.value) in _MAKERS and of not in _NUMBERS


def _makes_set(
    node: ast.expr,
    names: frozenset[str],
    *,
    numbers: frozenset[str] = frozenset(),
    functions: frozenset[str] = frozenset(),
) -> bool:
    """Return True if the expression is a set that does not consist of numbers alone."""
    if isinstance(node, ast.Set):
        return not all(_is_number(one, numbers) for one in node.elts)
    if isinstance(node, ast.SetComp):
        within = numbers | {
            one.target.id
            for one in node.generators
            if isinstance(one.target, ast.Name) and _are_numbers(one.iter, numbers)
        }
        return not _is_number(node.elt, within)
    if isinstance(node, ast.Name):
        return node.id in names
    if isinstance(node, ast.BinOp) and isinstance(node.op, _OPERATORS):
        sides = (node.left, node.right)
        return any(
            _makes_set(side, names, numbers=numbers, functions=functions) or _is_keys(side)
            for side in sides
        )
    if isinstance(node, ast.IfExp):
        return any(
            _makes_set(one, names, numbers=numbers, functions=functions)
            for one in (node.body, node.orelse)
        )
    if not isinstance(node, ast.Call):
        return False
    if isinstance(node.func, ast.Name):
        if node.func.id in _MAKERS:
            return bool(node.args) and not _are_numbers(node.args[0], numbers)
        return node.func.id in functions
    if isinstance(node.func, ast.Attribute) and node.func.attr in (*_METHODS, "copy"):
        return _makes_set(node.func.value, names, numbers=numbers, functions=functions)
    return False


def _is_keys(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and last_name(node.func) == "keys"


def _are_numbers(node: ast.expr, numbers: frozenset[str] = frozenset()) -> bool:
    """Return True if the items are visibly numbers alone."""
    if isinstance(node, ast.Name):
        return node.id in numbers
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        return bool(node.elts) and all(
            _is_number(one, numbers) or _are_numbers(one, numbers) for one in node.elts
        )
    if isinstance(node, ast.GeneratorExp | ast.ListComp | ast.SetComp):
        return _is_number(node.elt, numbers)
    if not isinstance(node, ast.Call):
        return False
    name = last_name(node.func)
    if name in _WRAPPERS and node.args:
        return _are_numbers(node.args[0], numbers)
    if name in ("tolist", "ravel", "flatten", "copy") and isinstance(node.func, ast.Attribute):
        return _are_numbers(node.func.value, numbers)
    return name in _NUMERIC_CALLS


def _is_number(node: ast.expr, numbers: frozenset[str] = frozenset()) -> bool:
    if isinstance(node, ast.UnaryOp):
        return _is_number(node.operand, numbers)
    if isinstance(node, ast.BinOp):
        return _is_number(node.left, numbers) and _is_number(node.right, numbers)
    if isinstance(node, ast.Name):
        return node.id in numbers
    if isinstance(node, ast.Call):
        return last_name(node.func) in (*_NUMBERS, "len", "round", "ord", "abs")
    return isinstance(node, ast.Constant) and isinstance(node.value, int | float | complex)


def _text(node: ast.expr) -> str:
    """Return the source of the expression, shortened to 40 characters."""
    source = " ".join(ast.unparse(node).split())
    return source if len(source) <= 40 else source[:37] + "..."
