"""The query language: ``lr > 0.01 and metrics.accuracy >= 0.9 and status == "finished"`` as a TinyDB query.

The grammar is a subset of Python expressions: comparisons (also chained, ``in`` and ``not in``), ``and``, ``or``,
``not``, parentheses; dotted names; numbers, strings, ``True``, ``False``, ``None``, lists.

`recorder.store.query.fields` looks names up. A run without a name satisfies no comparison with it except ``== None``.
``tags`` is a list: ``"paper" in tags``. Times are compared with strings: ``started > "2 days ago"``, ``"2026-11-01"``,
``"yesterday"``.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

from tinydb.queries import QueryInstance

from ...errors import QueryError
from .fields import FIELDS, Document, Find, FormText, known_names, parse_key

_TIMES = ("started", "finished")
_OPERATORS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
    ast.Is: operator.eq,
    ast.IsNot: operator.ne,
}
_UNITS = {
    "s": 1,
    "sec": 1,
    "min": 60,
    "h": 3600,
    "hour": 3600,
    "d": 86400,
    "day": 86400,
    "week": 7 * 86400,
}
_AGO = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+?)s?\s+ago")


class Name(NamedTuple):
    """A name in a query, and its position in characters."""

    text: str
    at: int


class Query(NamedTuple):
    """A parsed query: `test` is a TinyDB query for documents of runs; `names` are the names in it."""

    text: str
    test: QueryInstance
    names: tuple[Name, ...]

    def __call__(self, document: Document) -> bool:
        """Return whether the run satisfies the query."""
        return bool(self.test(document))

    def check(self, documents: Iterable[Document]) -> None:
        """Raise QueryError, with similar names, for a name that none of the documents has."""
        check_names(self.text, self.names, documents)


def check_names(text: str, names: Sequence[Name], documents: Iterable[Document]) -> None:
    """Raise QueryError, with similar names, for a name of the query `text` that none of the documents has."""
    import difflib

    known: set[str] = set()
    for document in documents:
        known |= known_names(document)
    for name in names:
        if known and name.text not in known and name.text not in FIELDS:
            near = difflib.get_close_matches(name.text, sorted(known | FIELDS.keys()), n=3)
            hint = f": did you mean {', '.join(near)}?" if near else ""
            raise _mistake(text, name.at, f"no run has {name.text!r}{hint}")


def parse_query(text: str, *, now: datetime | None = None) -> Query:
    """Parse a query; times such as "2 days ago" are relative to `now`. Raises QueryError."""
    parser = _Parser(text, now or datetime.now(timezone.utc))
    return parser.parse()


class _Parser:
    def __init__(self, text: str, now: datetime) -> None:
        self._text = text
        self._now = now
        self._names: list[Name] = []

    def parse(self) -> Query:
        try:
            tree = ast.parse(self._text.strip() and f"({self._text}\n)", mode="eval")
        except SyntaxError as error:
            reason = error.msg or ""
            # Minus one for the parenthesis that was put before the query.
            at = max((error.offset or 1) - 2, 0) if error.lineno == 1 else len(self._text)
            at = len(self._text) if "never closed" in reason else min(at, len(self._text))
            message = "syntax error" + ("; to compare, write ==" if "'=='" in reason else "")
            raise _mistake(self._text, at, message) from error
        test = self._truth(tree.body)
        query = QueryInstance(lambda document: bool(test(document)), ("recorder", self._text))
        return Query(self._text, query, tuple(self._names))

    def _truth(self, node: ast.expr) -> Find:
        if isinstance(node, ast.BoolOp):
            parts = [self._truth(part) for part in node.values]
            combine = all if isinstance(node.op, ast.And) else any
            return lambda document: combine(part(document) for part in parts)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            inner = self._truth(node.operand)
            return lambda document: not inner(document)
        if isinstance(node, ast.Compare):
            return self._comparison(node)
        value = self._value(node)
        return lambda document: bool(value(document))

    def _comparison(self, node: ast.Compare) -> Find:
        nodes = [node.left, *node.comparators]
        is_time = any(_dotted(part) in _TIMES for part in nodes)
        values = [self._time(part) if is_time else self._value(part) for part in nodes]
        steps = [
            (_OPERATORS[type(op)], a, b)
            for op, a, b in zip(node.ops, values[:-1], values[1:], strict=True)
        ]
        return lambda document: all(_holds(op, a(document), b(document)) for op, a, b in steps)

    def _value(self, node: ast.expr) -> Find:
        name = _dotted(node)
        if name is not None:
            self._names.append(Name(name, max(node.col_offset - 1, 0)))
            return parse_key(name)
        try:
            constant = ast.literal_eval(node)
        except ValueError:
            at = max(node.col_offset - 1, 0)
            raise _mistake(
                self._text, at, "only names, values and comparisons are supported"
            ) from None
        return lambda document: constant

    def _time(self, node: ast.expr) -> Find:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            moment = _parse_time(node.value, self._now)
            if moment is None:
                raise _mistake(
                    self._text,
                    max(node.col_offset - 1, 0),
                    'not a time; write "2 days ago", "2026-11-01" or "yesterday"',
                )
            return lambda document: moment
        value = self._value(node)

        def as_time(document: Document) -> datetime | None:
            found = value(document)
            return (
                datetime.fromisoformat(found.replace("Z", "+00:00"))
                if isinstance(found, str)
                else None
            )

        return as_time


def _dotted(node: ast.expr) -> str | None:
    """Return the node ``a.b.c`` as a dotted name, None for any other node."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        inner = _dotted(node.value)
        return None if inner is None else f"{inner}.{node.attr}"
    return None


def _holds(compare: Callable[[Any, Any], bool], a: Any, b: Any) -> bool:
    if (a is None or b is None) and compare not in (operator.eq, operator.ne):
        return False
    if isinstance(a, str) != isinstance(b, str) and compare in (operator.eq, operator.ne):
        a, b = _plain_text(a, b)
    try:
        return bool(compare(a, b))
    except TypeError:  # a string and a number
        return False


def _plain_text(a: Any, b: Any) -> tuple[Any, Any]:
    """Return both as strings if one is a value displayed as a string (a path, an enum), else unchanged."""
    return (str(a) if isinstance(a, FormText) else a, str(b) if isinstance(b, FormText) else b)


def _parse_time(text: str, now: datetime) -> datetime | None:
    text = text.strip().lower()
    local = now.astimezone()
    today = local.replace(hour=0, minute=0, second=0, microsecond=0)
    if text in ("now", "today", "yesterday"):
        return {"now": local, "today": today, "yesterday": today - timedelta(days=1)}[text]
    ago = _AGO.fullmatch(text)
    if ago is not None:
        unit = _UNITS.get(ago[2])
        return None if unit is None else now - timedelta(seconds=float(ago[1]) * unit)
    try:
        moment = datetime.fromisoformat(text.upper().replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.astimezone()


def _mistake(text: str, at: int, message: str) -> QueryError:
    return QueryError(f"{message}\n  {text}\n  {' ' * at}^", text=text, at=at)
