"""The query language: ``lr > 0.01 and metrics.accuracy >= 0.9 and status == "finished"`` as a TinyDB query.

The grammar is a subset of Python expressions: comparisons (also chained, ``in`` and ``not in``), ``and``, ``or``,
``not``, parentheses; dotted names; numbers, strings, ``True``, ``False``, ``None``, lists. A name that is not a Python
identifier stands in brackets or backquotes: ``metrics["val/loss"]``, ```` `learning-rate` ````, ```` `lambda` ````.

`recorder.store.query.fields` looks names up. A run without a name satisfies no comparison with it except ``== None``.
``tags`` is a list: ``"paper" in tags``. Times are compared with strings: ``started > "2 days ago"``, ``"2026-11-01"``,
``"yesterday"``.
"""

from __future__ import annotations

import ast
import keyword
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

from tinydb.queries import QueryInstance

from ...errors import QueryError
from .fields import FIELDS, Digest, Document, Find, FormText, known_names, parse_key

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
_GRAMMAR = """\
a query compares names with values: lr > 0.01 and status == "finished" and "paper" in tags
names: fields (status, started, ...), config keys (model.depth), metrics (accuracy), metrics["val/loss"], `any name`
values: 0.1, "text", True, None, [1, 2], "2 days ago" for a time; combine with and, or, not, in and parentheses"""
# The operators of the grammar; any other keyword of Python's can only be a name, in backquotes.
_OWN_KEYWORDS = ("and", "or", "not", "in", "is", "True", "False", "None")


class Name(NamedTuple):
    """A name in a query, and its position in characters."""

    text: str
    at: int


class Condition:
    """One comparison of a query, which counts how often the types of both sides could be compared."""

    def __init__(self, compare: Callable[[Any, Any], bool], left: Find, right: Find) -> None:
        self.compare = compare
        self.left = left
        self.right = right
        # The name and the constant, if these are the two sides.
        self.name = ""
        self.constant: Any = None
        self.alike = 0
        self.unlike = 0

    def holds(self, document: Document) -> bool:
        """Return whether the comparison holds for the run."""
        a, b = self.left(document), self.right(document)
        if a is not None and b is not None:
            is_unlike = {_kind(a), _kind(b)} == {"string", "number"}
            self.unlike += is_unlike
            self.alike += not is_unlike
        return _holds(self.compare, a, b)

    @property
    def type_mismatch(self) -> str:
        """A sentence if every run has a number where the query has a string, or the reverse; else empty."""
        if not self.name or self.alike or not self.unlike:
            return ""
        is_string = isinstance(self.constant, str)
        kind, other = ("number", "string") if is_string else ("string", "number")
        return (
            f"{self.name} is a {kind} in every run, but the query compares it with the {other}"
            f" {self.constant!r}; no run can match"
        )


class Query(NamedTuple):
    """A parsed query: `test` is a TinyDB query for documents of runs; `names` are the names in it."""

    text: str
    test: QueryInstance
    names: tuple[Name, ...]
    conditions: tuple[Condition, ...] = ()

    def __call__(self, document: Document) -> bool:
        """Return whether the run satisfies the query."""
        return bool(self.test(document))

    def check(self, documents: Iterable[Document]) -> None:
        """Raise QueryError, with similar names, for a name that none of the documents has."""
        check_names(self.text, self.names, documents)

    def type_mismatches(self) -> list[str]:
        """Describe the comparisons of a number with a string in the runs that were tested so far."""
        return [one.type_mismatch for one in self.conditions if one.type_mismatch]


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


def plain_name(text: str) -> str:
    """Return a name as `parse_key` takes it: ``metrics["val/loss"]`` and ```` `val/loss` ```` without the marks.

    Raises QueryError if the marks do not match.
    """
    if "`" not in text and "[" not in text:
        return text
    parser = _Parser(text, datetime.now(timezone.utc))
    name = parser.dotted(parser.read())
    if name is None:
        raise _mistake(text, 0, "not a name")
    return name


class _Parser:
    def __init__(self, text: str, now: datetime) -> None:
        self._text = text
        self._now = now
        self._names: list[Name] = []
        self._conditions: list[Condition] = []
        self._quoted: Mapping[str, str] = {}
        self._source = text

    def parse(self) -> Query:
        test = self._truth(self.read())
        query = QueryInstance(lambda document: bool(test(document)), ("recorder", self._text))
        return Query(self._text, query, tuple(self._names), tuple(self._conditions))

    def read(self) -> ast.expr:
        """Return the syntax tree. Raises QueryError, with the grammar, for a syntax error."""
        if "\0" in self._text:
            raise _syntax_mistake(self._text, self._text.index("\0"), "a null character")
        self._source, self._quoted = _replace_backquotes(self._text)
        try:
            # The parentheses let the query go on over several lines.
            tree = ast.parse(self._source.strip() and f"({self._source}\n)", mode="eval")
        except SyntaxError as error:
            reason = error.msg or ""
            # Minus one for the parenthesis that was put before the query.
            at = max((error.offset or 1) - 2, 0) if error.lineno == 1 else len(self._text)
            at = len(self._text) if "never closed" in reason else min(at, len(self._text))
            message = "syntax error" + ("; to compare, write ==" if "'=='" in reason else "")
            raise _syntax_mistake(self._text, at, message + _keyword_hint(self._text)) from None
        except (ValueError, MemoryError, RecursionError) as error:  # deep nesting
            raise _syntax_mistake(self._text, 0, f"cannot be parsed ({error})") from None
        return tree.body

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
        is_time = any(self.dotted(part) in _TIMES for part in nodes)
        values = [self._time(part) if is_time else self._value(part) for part in nodes]
        steps = [
            Condition(_OPERATORS[type(op)], a, b)
            for op, a, b in zip(node.ops, values[:-1], values[1:], strict=True)
        ]
        for step, left, right in zip(steps, nodes[:-1], nodes[1:], strict=True):
            for side, other in ((left, right), (right, left)):
                name = self.dotted(side)
                if name is not None and isinstance(other, ast.Constant) and not is_time:
                    step.name, step.constant = name, other.value
        self._conditions += steps
        return lambda document: all(step.holds(document) for step in steps)

    def _value(self, node: ast.expr) -> Find:
        name = self.dotted(node)
        if name is not None:
            self._names.append(Name(name, self._at(node)))
            return parse_key(name)
        try:
            constant = ast.literal_eval(node)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            message = "only names, values and comparisons are supported"
            if isinstance(node, ast.BinOp):
                message += "; a name with - or / stands in backquotes: `learning-rate`"
            raise _syntax_mistake(self._text, self._at(node), message) from None
        return lambda document: constant

    def _time(self, node: ast.expr) -> Find:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            moment = _parse_time(node.value, self._now)
            if moment is None:
                raise _mistake(
                    self._text,
                    self._at(node),
                    'not a time; write "2 days ago", "2026-11-01" or "yesterday"',
                )
            return lambda document: moment
        value = self._value(node)

        def as_time(document: Document) -> datetime | None:
            text = value(document)
            try:
                return datetime.fromisoformat(text.replace("Z", "+00:00"))
            except (AttributeError, ValueError):  # not a string, or a damaged one
                return None

        return as_time

    def dotted(self, node: ast.expr) -> str | None:
        """Return the node ``a.b["c"]`` as a dotted name, None for any other node."""
        if isinstance(node, ast.Name):
            return self._quoted.get(node.id, node.id)
        part: object = None
        if isinstance(node, ast.Attribute):
            part = self._quoted.get(node.attr, node.attr)
        elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            part = node.slice.value
        if not isinstance(node, ast.Attribute | ast.Subscript) or not isinstance(part, str):
            return None
        inner = self.dotted(node.value)
        return None if inner is None else f"{inner}.{part}"

    def _at(self, node: ast.expr) -> int:
        """Return the position of a node in the query, in characters; `ast` counts bytes of UTF-8."""
        line = f"({self._source}".split("\n")[node.lineno - 1]
        before = sum(len(line) + 1 for line in self._source.split("\n")[: node.lineno - 1])
        at = len(line.encode()[: node.col_offset].decode(errors="ignore"))
        return max(before + at - (node.lineno == 1), 0)


def _replace_backquotes(text: str) -> tuple[str, Mapping[str, str]]:
    """Return the query with an identifier of the same length for each name in backquotes, and those names.

    Raises QueryError for a backquote without its counterpart.
    """
    if "`" not in text:
        return text, {}
    names: dict[str, str] = {}
    out, at = "", 0
    for match in re.finditer(r"""("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|`([^`]*)`|`""", text):
        out += text[at : match.start()]
        at = match.end()
        if match[1]:
            out += match[1]
        elif match[2]:
            # A letter that no query has: the length stays, and so does the place of any mistake behind it.
            letter = next(c for c in map(chr, range(0x4E00, 0x9FFF)) if c not in text + out)
            identifier = letter * (match.end() - match.start())
            names[identifier] = match[2]
            out += identifier
        else:
            message = (
                "empty backquotes" if match[2] == "" else "a backquote without its counterpart"
            )
            raise _syntax_mistake(text, match.start(), message)
    return out + text[at:], names


def _keyword_hint(text: str) -> str:
    """Return advice for a query in which a keyword of Python's stands as a name."""
    words = re.findall(r"[^\W\d]\w*", re.sub(r"\"[^\"]*\"|'[^']*'|`[^`]*`", "", text))
    reserved = [word for word in words if keyword.iskeyword(word) and word not in _OWN_KEYWORDS]
    return f"; if {reserved[0]} is a name, write `{reserved[0]}`" if reserved else ""


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return "other" if isinstance(value, FormText | Digest) else "string"
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else "other"


def _holds(compare: Callable[[Any, Any], bool], a: Any, b: Any) -> bool:
    if (a is None or b is None) and compare not in (operator.eq, operator.ne):
        return False
    if isinstance(a, str) != isinstance(b, str) and compare in (operator.eq, operator.ne):
        # A value displayed as a string (a path, an enum) equals that string.
        a, b = (str(value) if isinstance(value, FormText) else value for value in (a, b))
    is_equality = compare in (operator.eq, operator.ne)
    if is_equality and (isinstance(a, Digest) or isinstance(b, Digest)):
        return _is_same_digest(a, b) == (compare is operator.eq)
    try:
        return bool(compare(a, b))
    except (TypeError, OverflowError):  # a string and a number
        return False


def _is_same_digest(a: Any, b: Any) -> bool:
    """Return whether a digest is equal to another, or begins with at least six of its digits."""
    if not (isinstance(a, str) and isinstance(b, str)):
        return False
    short, long = sorted((a.removeprefix("blake3:"), b.removeprefix("blake3:")), key=len)
    return len(short) >= 6 and long.startswith(short)


def _parse_time(text: str, now: datetime) -> datetime | None:
    text = text.strip().lower()
    local = now.astimezone()
    today = local.replace(hour=0, minute=0, second=0, microsecond=0)
    if text in ("now", "today", "yesterday"):
        return {"now": local, "today": today, "yesterday": today - timedelta(days=1)}[text]
    ago = _AGO.fullmatch(text)
    try:
        if ago is not None:
            unit = _UNITS.get(ago[2])
            return None if unit is None else now - timedelta(seconds=float(ago[1]) * unit)
        moment = datetime.fromisoformat(text.upper().replace("Z", "+00:00"))
        return moment if moment.tzinfo is not None else moment.astimezone()
    except (ValueError, OverflowError, OSError):  # not a date, or one before the year 1
        return None


def _mistake(text: str, at: int, message: str) -> QueryError:
    return QueryError(f"{message}\n  {text}\n  {' ' * at}^", text=text, at=at)


def _syntax_mistake(text: str, at: int, message: str) -> QueryError:
    error = _mistake(text, at, message)
    return QueryError(f"{error}\n{_GRAMMAR}", text=text, at=at)
