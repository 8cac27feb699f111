"""The source text of a function, and its place in a file."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

from ...digest import digest_json


def describe_source(function: Callable[..., Any]) -> tuple[str | None, str | None]:
    """Return the digest of the function's source text, and the text, or (None, None) if it is unavailable.

    The text includes decorators, without common indentation and trailing blanks.
    """
    try:
        text = inspect.getsource(inspect.unwrap(function))
    except (OSError, TypeError):
        return None, None
    text = _own_text(text)
    return digest_json("source", text), text


def find_source(text: str, *, qualname: str, digest: str | None) -> str | None:
    """Find the source of a function in the text of its file, or return None.

    The result has the form that `describe_source` returns. `digest` selects among functions of the same name.
    Without a digest, the last one with the name is returned.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return None
    lines, name = text.splitlines(keepends=True), qualname.rpartition(".")[2]
    found = [
        (getattr(node, "name", None) == name, _own_text("".join(lines[first:last])))
        for node, first, last in _blocks(tree, lines)
    ]
    exact = [own for _, own in found if digest_json("source", own) == digest]
    named = [own for is_named, own in found if is_named]
    return next(reversed(exact or ([] if digest else named)), None)


def _blocks(tree: ast.Module, lines: list[str]) -> Iterator[tuple[ast.stmt, int, int]]:
    """Yield each statement, its first line including decorators (from 0), and the line after its last.

    If comments of its body follow, yield it again including them, because inspect includes them.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt):
            first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", ()))])
            last = node.end_lineno or node.lineno
            yield node, first - 1, last
            if (end := _after_comments(lines, last, node.col_offset)) != last:
                yield node, first - 1, end


def _after_comments(lines: list[str], at: int, indent: int) -> int:
    """Return the line after the comments from line `at` on that are indented deeper than `indent`."""
    end = at
    for number, line in enumerate(lines[at:], at + 1):
        text = line.strip()
        if text and (not text.startswith("#") or len(line) - len(line.lstrip()) <= indent):
            break
        end = number if text else end
    return end


def _own_text(text: str) -> str:
    lines = [line.rstrip() for line in textwrap.dedent(text).splitlines()]
    return "\n".join(lines).strip() + "\n"
