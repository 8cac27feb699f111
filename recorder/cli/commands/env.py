"""``recorder env``: the environment of a run, to look at or to install again."""

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
    help="The packages for an installer: pinned, with URLs where they came from no index; as PEP 751's pylock.toml with"
    " the digests of the files that pip would take.",
)
@click.option("--json", "as_json", is_flag=True, help="The environment as it is in the store.")
@click.pass_obj
def command(path: str | None, run: str, as_format: str | None, as_json: bool) -> None:
    """Show the environment that RUN was recorded in: Python, machine, packages, variables, locale.

    Packages that the run had imported are marked with a star. A requirements file names as a comment what an
    installer cannot have: editable projects, whose code is in the snapshot.

    Example: recorder env last --format requirements
    """
    if as_format and as_json:
        raise click.UsageError("--format and --json exclude each other")
    store = RunStore(path)
    record = store.find(run)
    found = load_object(record.environment, store)
    if not found:
        said = f"the environment of run {record.number} is not in the store"
        raise ContentNotFoundError(said, name="environment")
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found)))
    elif as_format:
        click.echo("\n".join(_lines(found, as_format)))
    else:
        click.echo(describe_environment(record, store))


def _lines(found: dict[str, Any], as_format: str) -> Iterator[str]:
    if as_format == "requirements":
        return requirement_lines(found)
    from ...environments.lock import lock_lines

    return lock_lines(found)
