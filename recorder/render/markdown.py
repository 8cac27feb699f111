"""Markdown as text for a terminal."""

from __future__ import annotations

import io


def render_markdown(text: str, *, width: int, color: bool) -> str:
    """Return Markdown formatted for a terminal of `width` columns, with ANSI colors if `color`."""
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console(
        file=io.StringIO(), width=width, force_terminal=True, no_color=not color, highlight=False
    )
    with console.capture() as capture:
        console.print(Markdown(text, code_theme="ansi_dark", hyperlinks=False))
    return capture.get()
