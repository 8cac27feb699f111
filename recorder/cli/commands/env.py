"""``recorder env``: show the environment of a run, or export its packages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click
import msgspec

from ...environments.requirements import requirement_lines
from ...errors import ContentNotFoundError
from ...render.runs.environment import describe_environment, load_object
from ...store.store import RunStore
from ..completion import complete_runs


@click.command()
@click.argument("run", metavar="RUN", shell_complete=complete_runs)
@click.option(
    "--format",
    "as_format",
    type=click.Choice(["requirements", "pylock"]),
    help="Print the packages for an installer: pinned requirements, or pylock.toml (PEP 751) with the digests of"
    " the files that pip would download.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the whole environment as JSON.")
@click.pass_obj
def command(path: str | None, run: str, as_format: str | None, as_json: bool) -> None:
    """Show the environment of a run, or export its packages.

    \b
    Examples:
      recorder env last
      recorder env last --format requirements

    Shows Python, machine, packages, variables and locale as they were. A star marks the packages that the run had
    imported. In requirements, a package that no installer can download, such as an editable install, is a comment;
    its code is in the snapshot.
    """
    if as_format and as_json:
        raise click.UsageError("give either --format or --json")
    store = RunStore(path)
    record = store.find(run)
    environment = load_object(record.environment, store)
    if not environment:
        message = f"the store does not have the environment of run {record.number}"
        raise ContentNotFoundError(message, name="environment")
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(environment)))
    elif as_format:
        click.echo("\n".join(_lines(environment, as_format)))
    else:
        click.echo(describe_environment(record, store))


def _lines(environment: dict[str, Any], as_format: str) -> Iterator[str]:
    if as_format == "requirements":
        return requirement_lines(environment)
    from ...environments.lock import lock_lines

    return lock_lines(environment)
