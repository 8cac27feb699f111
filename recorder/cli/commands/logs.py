"""``recorder logs``: print the console output of a run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import click

from ...errors import ContentNotFoundError
from ...records import Record
from ...store.content.console import follow_console, read_printed
from ...store.content.timeline import STREAMS, Printed, Stream
from ...store.store import RunStore
from ..completion import complete_runs

# Returns the prefix of a line that came so many seconds after the start of the run.
Stamp = Callable[[float], str]


@click.command()
@click.argument("run", metavar="[RUN]", default="last", shell_complete=complete_runs)
@click.option("--stdout", "only", flag_value="stdout", help="Print only what went to stdout.")
@click.option(
    "--stderr", "only", flag_value="stderr", help="Print only what went to stderr, to stdout."
)
@click.option(
    "-f", "--follow", is_flag=True, help="Keep printing until the run ends, if it is in progress."
)
@click.option(
    "-t",
    "--timestamps",
    "times",
    flag_value="elapsed",
    help="Prefix each line with the seconds since the start of the run.",
)
@click.option(
    "--utc", "times", flag_value="utc", help="Prefix each line with date and time in UTC."
)
@click.pass_obj
def command(
    path: str | None, run: str, only: Stream | None, follow: bool, times: str | None
) -> None:
    """Print the console output of a run.

    \b
    Examples:
      recorder logs
      recorder logs last --timestamps
      recorder logs 12 --stderr

    RUN defaults to last, the newest run that is not a replay. Lines come in their original order, byte for byte:
    stdout to stdout and stderr to stderr. What a run in progress has not flushed is not available yet.
    """
    store = RunStore(path)
    record = store.find(run)
    streams: tuple[Stream, ...] = STREAMS if only is None else (only,)
    read = follow_console if follow else read_printed
    printed = read(store, record, streams=streams)
    if times is not None:
        stamp = _elapsed if times == "elapsed" else _clock(record.started)
        printed = _stamped(printed, record, stamp)
    _print(printed, is_one=only is not None)


def _elapsed(time_s: float) -> str:
    return f"{f'+{time_s:.3f}':>9}  "


def _clock(started: datetime) -> Stamp:
    def stamp(time_s: float) -> str:
        moment = started + timedelta(seconds=time_s)
        return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z  "

    return stamp


def _stamped(pieces: Iterator[Printed], record: Record, stamp: Stamp) -> Iterator[Printed]:
    """Prefix each line, and each state of a progress bar, which ends with a carriage return."""
    is_open = dict.fromkeys(STREAMS, False)
    for printed in pieces:
        if printed.time_s is None:
            raise ContentNotFoundError(
                f"run {record.number} was recorded without times; try: recorder logs {record.number}",
                name="arrivals",
            )
        prefix = stamp(printed.time_s)
        prefix = click.style(prefix, dim=True) if _is_colored() else prefix
        lines = printed.data.splitlines(keepends=True)
        # (A carriage return alone is the start of the first state.)
        data = b"".join(line if line == b"\r" else prefix.encode() + line for line in lines)
        if is_open[printed.stream]:
            data = data.removeprefix(prefix.encode())
        is_open[printed.stream] = not printed.data.endswith((b"\n", b"\r"))
        yield printed._replace(data=data)


def _is_colored() -> bool:
    chosen = click.get_current_context().color
    return sys.stdout.isatty() if chosen is None else chosen


def _print(pieces: Iterator[Printed], *, is_one: bool) -> None:
    """Print each stream to its counterpart.

    A run without times gives one stream after the other: on a terminal, a line separates them.
    """
    is_marked = not is_one and sys.stderr.isatty()
    last: Stream = "stdout"
    for stream, data, time_s in pieces:
        target = sys.stdout if is_one or stream == "stdout" else sys.stderr
        if is_marked and stream != last and time_s is None:
            click.secho(f"--- {stream} ---", err=True, dim=True)
        last = stream
        target.buffer.write(data)
        target.flush()
