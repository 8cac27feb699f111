"""``recorder list``: the runs of the store, a line each."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click
import msgspec

from ..records import Record
from ..store.query import FIELDS, known_names, parse_key
from ..store.store import Store
from .view.runs import cell, runs_table


@click.command()
@click.option("-e", "--experiment", metavar="NAME", help="Only the runs of this experiment.")
@click.option(
    "-w", "--where", metavar="QUERY", help="Only those: 'lr > 0.01 and metrics.accuracy >= 0.9'."
)
@click.option("-t", "--tag", "tags", multiple=True, metavar="TAG", help="Only those with the tag.")
@click.option("--failed", is_flag=True, help="Only those that failed, were interrupted or lost.")
@click.option("-s", "--sort", metavar="NAME", help="By this, -NAME for the largest first.")
@click.option(
    "-n", "--limit", type=click.IntRange(min=1), metavar="N", help="Only the newest, or first, N."
)
@click.option(
    "-c", "--columns", metavar="NAMES", help="These columns: 'lr,metrics.loss.min,commit'."
)
@click.option(
    "--grade",
    "graded",
    is_flag=True,
    help="How far each can be replayed, by its hazards (see show).",
)
@click.option(
    "--csv", "as_csv", is_flag=True, help="Every run's fields, config and metrics as CSV."
)
@click.option("--json", "as_json", is_flag=True, help="The records themselves, a JSON array.")
@click.pass_obj
def command(
    path: str | None,
    experiment: str | None,
    where: str | None,
    tags: tuple[str, ...],
    failed: bool,
    sort: str | None,
    limit: int | None,
    columns: str | None,
    graded: bool,
    as_csv: bool,
    as_json: bool,
) -> None:
    """List the runs of the store: number, experiment, status, age, duration, config, metrics.

    The config's columns are those that vary; what is the same for all runs stands once above the table.

    A QUERY compares names with values: fields (status, experiment, tags, started, duration, seed, commit, ...), keys
    of the config, metrics; with and, or, not, in, and parentheses; times as in 'started > "2 days ago"'.

    Example: recorder list -e train --where 'lr < 0.1 and "paper" in tags' --sort -accuracy
    """
    store = Store(path)
    is_plain = not (experiment or where or tags or failed or sort)
    records = store.runs(last=limit if is_plain else None, where=where)
    records = [
        record
        for record in records
        if (experiment is None or record.experiment == experiment)
        and set(tags) <= set(record.tags)
        and (not failed or record.status in ("failed", "interrupted", "lost"))
    ]
    if sort is not None:
        records = _sorted(records, sort)[:limit]
    elif limit:
        records = records[-limit:]
    if as_json:
        documents = [record.to_document() for record in records]
        click.echo(msgspec.json.format(msgspec.json.encode(documents)))
    elif as_csv:
        _write_csv(records)
    elif not len(store):
        click.echo("no runs yet")
    else:
        names = None if columns is None else [name.strip() for name in columns.split(",")]
        click.echo(runs_table(records, names=names, graded=graded))


def _sorted(records: Sequence[Record], name: str) -> list[Record]:
    """By the value of the name, those without it last; ``-name`` for the largest first."""
    value = parse_key(name.lstrip("-"))
    pairs = [(value(record.to_document()), record) for record in records]
    there = [(found, record) for found, record in pairs if found is not None]
    there.sort(key=lambda pair: _order(pair[0]), reverse=name.startswith("-"))
    return [record for _, record in there] + [record for found, record in pairs if found is None]


def _order(value: Any) -> tuple[int, Any]:
    """Numbers before texts before everything else; NaN first among the numbers."""
    if isinstance(value, bool | int | float):
        return (0, value) if value == value else (-1, 0)
    return (1, value) if isinstance(value, str) else (2, str(value))


def _write_csv(records: Sequence[Record]) -> None:
    import csv

    documents = [record.to_document() for record in records]
    names = dict.fromkeys(FIELDS)
    for document in documents:
        known = known_names(document)
        names.update(dict.fromkeys(sorted(n for n in known if n.startswith("config."))))
        names.update(dict.fromkeys(f"metrics.{name}" for name in document["metrics"]))
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(names)
    values = [parse_key(name) for name in names]
    writer.writerows([cell(value(document)) for value in values] for document in documents)
