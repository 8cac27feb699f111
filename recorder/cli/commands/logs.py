"""``recorder logs``: what a run printed."""

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

# What stands before a line that came so many seconds after the run's start.
Stamp = Callable[[float], str]


@click.command()
@click.argument("run", metavar="RUN", shell_complete=complete_runs)
@click.option("--stdout", "only", flag_value="stdout", help="Only what went to stdout.")
@click.option("--stderr", "only", flag_value="stderr", help="Only what went to stderr, to stdout.")
@click.option("-f", "--follow", is_flag=True, help="Of a run in progress: until it ends.")
@click.option(
    "-t",
    "--timestamps",
    "times",
    flag_value="elapsed",
    help="Before each line when it came, in seconds since the run's start.",
)
@click.option("--utc", "times", flag_value="utc", help="The same as a date and time, in UTC.")
@click.pass_obj
def command(
    path: str | None, run: str, only: Stream | None, follow: bool, times: str | None
) -> None:
    """Print what RUN printed, to the byte and in order: its stdout to stdout, its stderr to stderr.

    With --follow it comes as the run writes it. What a run in progress has not flushed is not there yet.

    Example: recorder logs last --timestamps
    """
    store = RunStore(path)
    record = store.find(run)
    streams: tuple[Stream, ...] = STREAMS if only is None else (only,)
    read = follow_console if follow else read_printed
    found = read(store, record, streams=streams)
    if times is not None:
        found = _stamp(found, record, _elapsed if times == "elapsed" else _clock(record.started))
    _print(found, is_one=only is not None)


def _elapsed(time_s: float) -> str:
    return f"{f'+{time_s:.3f}':>9}  "


def _clock(started: datetime) -> Stamp:
    def say(time_s: float) -> str:
        moment = started + timedelta(seconds=time_s)
        return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z  "

    return say


def _stamp(found: Iterator[Printed], record: Record, say: Stamp) -> Iterator[Printed]:
    """A time before each line, and before each state of a progress bar, which takes the place of the one before."""
    open_lines = dict.fromkeys(STREAMS, False)
    for printed in found:
        if printed.time_s is None:
            raise ContentNotFoundError(
                f"run {record.number} was recorded without times: recorder logs {record.number} shows what it printed",
                name="arrivals",
            )
        stamp = (
            click.style(say(printed.time_s), dim=True) if _is_coloured() else say(printed.time_s)
        )
        lines = printed.data.splitlines(keepends=True)
        # (A carriage return alone begins the first state.)
        stamped = b"".join(line if line == b"\r" else stamp.encode() + line for line in lines)
        if open_lines[printed.stream]:
            stamped = stamped.removeprefix(stamp.encode())
        open_lines[printed.stream] = not printed.data.endswith((b"\n", b"\r"))
        yield printed._replace(data=stamped)


def _is_coloured() -> bool:
    chosen = click.get_current_context().color
    return sys.stdout.isatty() if chosen is None else chosen


def _print(found: Iterator[Printed], *, is_one: bool) -> None:
    """Each stream to its own of ours.

    Where they come one after the other, for want of times, a line tells them apart to the eye.
    """
    is_marked = not is_one and sys.stderr.isatty()
    last: Stream = "stdout"
    for stream, data, time_s in found:
        target = sys.stdout if is_one or stream == "stdout" else sys.stderr
        if is_marked and stream != last and time_s is None:
            click.secho(f"--- {stream} ---", err=True, dim=True)
        last = stream
        target.buffer.write(data)
        target.flush()
