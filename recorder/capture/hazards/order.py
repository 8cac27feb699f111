"""Detection of code that uses the order in which a folder lists its files."""

from __future__ import annotations

import ast
from functools import lru_cache
from pathlib import Path

from .scopes import MAX_SOURCE_BYTES, last_name, parse
from .static import is_indifferent_loop

_LISTINGS = frozenset({"listdir", "scandir", "walk", "fwalk", "glob", "iglob", "rglob", "iterdir"})
# Calls for which the order of their argument does not matter.
_INDIFFERENT = frozenset(
    {
        "sorted",
        "len",
        "sum",
        "any",
        "all",
        "min",
        "max",
        "set",
        "frozenset",
        "Counter",
        "fsum",
        "natsorted",
        "bool",
    }
)
# Calls that return the items in the order in which they get them.
_TRANSPARENT = frozenset({"list", "tuple", "iter", "filter", "map", "reversed", "next"})


@lru_cache(maxsize=1024)
def uses_order(file: str, line: int) -> bool:
    """Return True if the code at that line uses the order of a listing, as far as the source shows."""
    try:
        source = Path(file).read_bytes()
    except OSError:
        return False
    tree = None if len(source) > MAX_SOURCE_BYTES else parse(source, file)
    return tree is not None and _Uses(tree).at(line)


class _Uses:
    """The uses of listings in a module."""

    def __init__(self, tree: ast.Module) -> None:
        self._parents = {
            child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)
        }
        self._nodes = list(self._parents)

    def at(self, line: int) -> bool:
        here = [
            n
            for n in self._nodes
            if isinstance(n, ast.expr) and n.lineno <= line <= (n.end_lineno or n.lineno)
        ]
        listings = [n for n in here if isinstance(n, ast.Call) and last_name(n.func) in _LISTINGS]
        # A generator of paths lists its folder where it is consumed: then the name in that line stands for it.
        names = [
            n
            for n in here
            if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load) and self._is_lazy(n)
        ]
        return any(self._matters(node, set()) for node in listings or names)

    def _is_lazy(self, name: ast.Name) -> bool:
        return any(
            isinstance(node, ast.Assign)
            and any(isinstance(one, ast.Name) and one.id == name.id for one in node.targets)
            and isinstance(node.value, ast.Call)
            and last_name(node.value.func) in _LISTINGS
            for node in self._nodes
        )

    def _matters(self, node: ast.AST, seen: set[str]) -> bool:
        """Return True if the order of the items of an expression reaches something that depends on it."""
        parent = self._parents.get(node)
        if isinstance(parent, ast.Call) and node is not parent.func:
            name = last_name(parent.func)
            if name in _INDIFFERENT:
                return False
            return self._matters(parent, seen) if name in _TRANSPARENT and name != "next" else True
        if isinstance(parent, ast.keyword | ast.Starred):
            return self._matters(parent, seen)
        if isinstance(parent, ast.comprehension):
            whole = self._parents[parent]
            return not isinstance(whole, ast.SetComp | ast.DictComp) and self._matters(whole, seen)
        if isinstance(parent, ast.For | ast.AsyncFor) and node is parent.iter:
            return not is_indifferent_loop(parent.body) and not self._sorts_within(parent)
        if isinstance(
            parent,
            ast.Compare | ast.UnaryOp | ast.BoolOp | ast.If | ast.While | ast.Assert | ast.Expr,
        ):
            return False
        if isinstance(parent, ast.With | ast.withitem):
            held = parent.optional_vars if isinstance(parent, ast.withitem) else None
            return isinstance(held, ast.Name) and self._name_matters(held, seen)
        if isinstance(parent, ast.Assign) and all(
            isinstance(one, ast.Name) for one in parent.targets
        ):
            return any(
                self._name_matters(one, seen) for one in parent.targets if isinstance(one, ast.Name)
            )
        return parent is not None

    def _sorts_within(self, loop: ast.For | ast.AsyncFor) -> bool:
        """Return True for ``for root, folders, files in os.walk(...)`` whose body sorts what it gets."""
        if not (isinstance(loop.iter, ast.Call) and last_name(loop.iter.func) in ("walk", "fwalk")):
            return False
        calls = [n for n in ast.walk(loop) if isinstance(n, ast.Call)]
        return any(last_name(n.func) in ("sort", "sorted") for n in calls)

    def _name_matters(self, name: ast.Name, seen: set[str]) -> bool:
        if name.id in seen:
            return False
        seen.add(name.id)
        scope = self._scope(name)
        sorts = (
            node.func.value
            for node in ast.walk(scope)
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "sort"
        )
        if any(isinstance(one, ast.Name) and one.id == name.id for one in sorts):
            return False
        loads = [
            n
            for n in ast.walk(scope)
            if isinstance(n, ast.Name) and n.id == name.id and isinstance(n.ctx, ast.Load)
        ]
        return any(self._matters(load, seen) for load in loads)

    def _scope(self, node: ast.AST) -> ast.AST:
        while node in self._parents:
            node = self._parents[node]
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                break
        return node
