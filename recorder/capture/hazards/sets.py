"""Sets and numbers in source text: the expressions that create them, and the names that hold them."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence

from .scopes import Assigned, assignments, last_name, own_nodes

_OPERATORS = (ast.BitOr, ast.BitAnd, ast.Sub, ast.BitXor)
_MAKERS = frozenset({"set", "frozenset"})
_METHODS = frozenset({"union", "intersection", "difference", "symmetric_difference"})
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


def returns_set(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Return True if the function is declared to return a set, or if each of its return values is one."""
    if _says_set(function.returns):
        return True
    nodes = list(own_nodes(function))
    assigned = assignments(nodes)
    numbers = named_numbers(nodes, assigned, frozenset())
    names = named_sets(function, assigned, frozenset()) | filled_sets(nodes, assigned, numbers)
    returned = [node.value for node in nodes if isinstance(node, ast.Return) and node.value]
    return bool(returned) and all(creates_set(value, names, numbers=numbers) for value in returned)


def named_sets(
    scope: ast.AST,
    assigned: Sequence[Assigned],
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
        if (makes_set or creates_set)(value, known | own):
            own.add(name)
        elif _is_wrapped(value):
            own.discard(name)  # names = sorted(names)
    return known | own


def filled_sets(
    nodes: Sequence[ast.AST], assigned: Sequence[Assigned], numbers: frozenset[str]
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
                are_numbers = {"add": is_number, "update": _are_numbers}.get(node.func.attr)
                if are_numbers is not None and not are_numbers(item, numbers):
                    found.add(holder.id)
    rebound = {name for name, value in assigned if _is_wrapped(value)}
    return frozenset(found - rebound)


def named_numbers(
    nodes: Sequence[ast.AST], assigned: Sequence[Assigned], known: frozenset[str]
) -> frozenset[str]:
    """Return the names that hold a number, or only numbers, in this scope."""
    names = set(known) - {name for name, _ in assigned}
    for name, value in assigned:
        if is_number(value, frozenset(names)) or _are_numbers(value, frozenset(names)):
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


def _is_wrapped(value: ast.expr) -> bool:
    return isinstance(value, ast.Call) and last_name(value.func) in ("sorted", "list", "tuple")


def _says_set(annotation: ast.expr | None) -> bool:
    """Return True if the annotation of a parameter declares a set that is not one of numbers."""
    if not isinstance(annotation, ast.Subscript):
        return isinstance(annotation, ast.Name) and annotation.id in _MAKERS
    of = last_name(annotation.slice)
    return last_name(annotation.value) in _MAKERS and of not in _NUMBERS


def creates_set(
    node: ast.expr,
    names: frozenset[str],
    *,
    numbers: frozenset[str] = frozenset(),
    functions: frozenset[str] = frozenset(),
) -> bool:
    """Return True if the expression is a set that does not consist of numbers alone."""
    if isinstance(node, ast.Set):
        return not all(is_number(one, numbers) for one in node.elts)
    if isinstance(node, ast.SetComp):
        within = numbers | {
            one.target.id
            for one in node.generators
            if isinstance(one.target, ast.Name) and _are_numbers(one.iter, numbers)
        }
        return not is_number(node.elt, within)
    if isinstance(node, ast.Name):
        return node.id in names
    if isinstance(node, ast.BinOp) and isinstance(node.op, _OPERATORS):
        sides = (node.left, node.right)
        return any(
            creates_set(side, names, numbers=numbers, functions=functions) or _is_keys(side)
            for side in sides
        )
    if isinstance(node, ast.IfExp):
        return any(
            creates_set(one, names, numbers=numbers, functions=functions)
            for one in (node.body, node.orelse)
        )
    if not isinstance(node, ast.Call):
        return False
    if isinstance(node.func, ast.Name):
        if node.func.id in _MAKERS:
            return bool(node.args) and not _are_numbers(node.args[0], numbers)
        return node.func.id in functions
    if isinstance(node.func, ast.Attribute) and node.func.attr in (*_METHODS, "copy"):
        return creates_set(node.func.value, names, numbers=numbers, functions=functions)
    return False


def _is_keys(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and last_name(node.func) == "keys"


def _are_numbers(node: ast.expr, numbers: frozenset[str] = frozenset()) -> bool:
    """Return True if the items are visibly numbers alone."""
    if isinstance(node, ast.Name):
        return node.id in numbers
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        return bool(node.elts) and all(
            is_number(one, numbers) or _are_numbers(one, numbers) for one in node.elts
        )
    if isinstance(node, ast.GeneratorExp | ast.ListComp | ast.SetComp):
        return is_number(node.elt, numbers)
    if not isinstance(node, ast.Call):
        return False
    name = last_name(node.func)
    if name in _WRAPPERS and node.args:
        return _are_numbers(node.args[0], numbers)
    if name in ("tolist", "ravel", "flatten", "copy") and isinstance(node.func, ast.Attribute):
        return _are_numbers(node.func.value, numbers)
    return name in _NUMERIC_CALLS


def is_number(node: ast.expr, numbers: frozenset[str] = frozenset()) -> bool:
    """Return True if the expression is visibly a number."""
    if isinstance(node, ast.UnaryOp):
        return is_number(node.operand, numbers)
    if isinstance(node, ast.BinOp):
        return is_number(node.left, numbers) and is_number(node.right, numbers)
    if isinstance(node, ast.Name):
        return node.id in numbers
    if isinstance(node, ast.Call):
        return last_name(node.func) in (*_NUMBERS, "len", "round", "ord", "abs")
    return isinstance(node, ast.Constant) and isinstance(node.value, int | float | complex)
