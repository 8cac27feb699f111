"""``recorder log``: what a run printed."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from ..records import Record
from ..store.console import STREAMS, Printed, Stream, follow_console, read_console
from ..store.store import Store
from .completion import complete_runs


@click.command()
@click.argument("run", metavar="RUN", shell_complete=complete_runs)
@click.option("--stdout", "only", flag_value="stdout", help="Only what went to stdout.")
@click.option("--stderr", "only", flag_value="stderr", help="Only what went to stderr, to stdout.")
@click.option("-f", "--follow", is_flag=True, help="Of a run in progress: until it ends.")
@click.pass_obj
def command(path: str | None, run: str, only: Stream | None, follow: bool) -> None:
    """Print what RUN printed, to the byte: its stdout to stdout, and after that its stderr to stderr.

    With --follow both come as the run writes them. What a run in progress has not flushed is not there yet.

    Example: recorder log last --follow
    """
    store = Store(path)
    record = store.find(run)
    streams: tuple[Stream, ...] = STREAMS if only is None else (only,)
    found = follow_console(store, record, streams=streams) if follow else None
    _print(found or _recorded(store, record, streams), is_one=only is not None)


def _recorded(store: Store, record: Record, streams: tuple[Stream, ...]) -> Iterator[Printed]:
    for stream in streams:
        if data := read_console(store, record, stream):
            yield Printed(stream, data)


def _print(found: Iterator[Printed], *, is_one: bool) -> None:
    """Each stream to its own of ours; where the eye could not tell them apart, with a line between."""
    last: Stream = "stdout"
    is_marked = not is_one and sys.stderr.isatty()
    for stream, data in found:
        target = sys.stdout if is_one or stream == "stdout" else sys.stderr
        if is_marked and stream != last:
            click.secho(f"--- {stream} ---", err=True, dim=True)
        last = stream
        target.buffer.write(data)
        target.flush()
