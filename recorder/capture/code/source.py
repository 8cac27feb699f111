"""A function's own text, told apart from the file that it stands in."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

from ...digest import digest_json


def describe_function(function: Callable[..., Any]) -> tuple[str | None, str | None]:
    """The digest of the function's own text, and the text; None where it is not to be had.

    Decorators are part of it; indentation and blanks at the ends of lines are not.
    """
    try:
        text = inspect.getsource(inspect.unwrap(function))
    except (OSError, TypeError):
        return None, None
    text = _own_text(text)
    return digest_json("source", text), text


def find_source(text: str, *, qualname: str, digest: str | None) -> str | None:
    """The text of the function in that of its file, as `describe_function` gave it; None where it is not there.

    It is the one of that `digest`, which tells it from others of its name, or without one the last of the name.
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
    """Each statement, its first line with its decorators (from 0), and the line after its last.

    Where comments of its body follow it, a second time with them: inspect has them in.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt):
            first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", ()))])
            last = node.end_lineno or node.lineno
            yield node, first - 1, last
            if (behind := _after_comments(lines, last, node.col_offset)) != last:
                yield node, first - 1, behind


def _after_comments(lines: list[str], at: int, indent: int) -> int:
    """The line after the comments from `at` on that are indented deeper."""
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
