"""``recorder diff``: what differs between two runs."""

from __future__ import annotations

import click
import msgspec

from ..compare.diff import SECTIONS, diff
from ..store.store import Store
from .completion import complete_runs
from .view.diff import describe_diff


@click.command()
@click.argument("a", metavar="A", shell_complete=complete_runs)
@click.argument("b", metavar="B", shell_complete=complete_runs)
@click.option("--only", type=click.Choice(SECTIONS), help="Only this section.")
@click.option("--json", "as_json", is_flag=True, help="The differences as JSON.")
@click.pass_context
def command(ctx: click.Context, a: str, b: str, only: str | None, as_json: bool) -> None:
    """Say what differs between the runs A and B.

    Config, code, environment, seed, inputs, metrics, outputs, result; times, hosts and pids do not count.
    Exit status 0 where they are the same, 1 where they differ.

    Example: recorder diff train~1 train --only config
    """
    store = Store(ctx.obj)
    found = diff(store.find(a), store.find(b), store.objects, files=store.snapshots.files)
    if only is not None:
        found = found.only(only)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found.to_json())))
    else:
        click.echo(describe_diff(found))
    ctx.exit(0 if found.same else 1)
