"""``recorder show``: show everything about one run."""

from __future__ import annotations

import click
import msgspec

from ...render.runs.record import describe_record
from ...store.store import RunStore
from ..completion import complete_runs


@click.command()
@click.argument("run", metavar="[RUN]", default="last", shell_complete=complete_runs)
@click.option("--json", "as_json", is_flag=True, help="Print the whole record as JSON.")
@click.pass_obj
def command(path: str | None, run: str, as_json: bool) -> None:
    """Show everything about one run.

    \b
    Examples:
      recorder show
      recorder show last
      recorder show train~1 --json

    RUN defaults to last, the newest run that is not a replay. You see config, code, environment, inputs, result,
    metrics, outputs, the end of the console output, hazards (what a replay may find different), and the commands to
    use next.
    """
    store = RunStore(path)
    record = store.find(run)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(record.to_document())))
    else:
        click.echo(describe_record(record, store))
