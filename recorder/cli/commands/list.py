"""``recorder list``: the runs of the store, a line each."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click
import msgspec

from ...compare.groups import Group, group, sort_by_value
from ...records import Record
from ...render.runs.groups import groups_document, groups_rows, groups_table
from ...render.runs.runs import cell, remark, runs_table
from ...store.query.fields import FIELDS, known_names, parse_key
from ...store.query.query import Name, check_names
from ...store.store import RunStore
from ..completion import complete_experiments, complete_keys, complete_tags
from ..numbers import WholeNumber

# A table that is longer says nothing at a glance, and takes its time in a large store.
SHOWN = 50


@click.command()
@click.option(
    "-e",
    "--experiment",
    metavar="NAME",
    shell_complete=complete_experiments,
    help="Only the runs of this experiment.",
)
@click.option(
    "-w",
    "--where",
    metavar="QUERY",
    shell_complete=complete_keys,
    help="Only those: 'lr > 0.01 and metrics.accuracy >= 0.9'.",
)
@click.option(
    "-t",
    "--tag",
    "tags",
    multiple=True,
    metavar="TAG",
    shell_complete=complete_tags,
    help="Only those with the tag.",
)
@click.option("--failed", is_flag=True, help="Only those that failed, were interrupted or lost.")
@click.option(
    "-s",
    "--sort",
    metavar="NAME",
    shell_complete=complete_keys,
    help="By this, -NAME for the largest first.",
)
@click.option(
    "-n",
    "--limit",
    type=WholeNumber(1),
    metavar="N",
    help=f"Only the newest, or first, N; of a table by default {SHOWN}.",
)
@click.option("-a", "--all", "every", is_flag=True, help="However many there are.")
@click.option(
    "-c",
    "--columns",
    metavar="NAMES",
    shell_complete=complete_keys,
    help="These columns: 'lr,metrics.loss.min,commit'.",
)
@click.option(
    "-g",
    "--group-by",
    "by",
    metavar="NAMES",
    shell_complete=complete_keys,
    help="A line for each value of these, with the mean of each metric: 'lr,model.depth'.",
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
    every: bool,
    columns: str | None,
    by: str | None,
    graded: bool,
    as_csv: bool,
    as_json: bool,
) -> None:
    """List the runs of the store: number, experiment, status, age, duration, config, metrics.

    What is the same for all runs stands once above the table; of a replay its verdict stands for the status.

    A QUERY compares names with values: fields (status, experiment, tags, started, duration, seed, commit, ...), keys
    of the config, metrics; with and, or, not, in, and parentheses; times as in 'started > "2 days ago"'.

    --group-by gives the mean of each metric's last value over the finished runs, ± their standard deviation.

    Example: recorder list --where 'lr < 0.1 and "paper" in tags' --sort -accuracy
    """
    store = RunStore(path)
    is_cut = limit is None and by is None and not (every or as_csv or as_json)
    limit = SHOWN if is_cut else limit
    is_plain = not (experiment or where or tags or failed or sort or by)
    records = store.runs(last=limit if is_plain else None, where=where)
    records = [one for one in records if _is_wanted(one, experiment, tags, failed)]
    count = len(store) if is_plain else len(records)
    if by is not None:
        names = _known_names(store, by, records)
        _print_groups(records, names, sort=sort, limit=limit, as_csv=as_csv, as_json=as_json)
        return
    if sort is not None:
        _known_names(store, sort, records)
        records = _sorted(records, sort)[:limit]
    elif limit:
        records = records[-limit:]
    if as_json:
        _print_json([record.to_document() for record in records])
    elif as_csv:
        _print_csv(_rows(records))
    elif not records:
        click.echo(_nothing(store, experiment, tags))
    else:
        chosen = None if columns is None else _known_names(store, columns, records)
        click.echo(runs_table(records, names=chosen, graded=graded))
        if is_cut and len(records) < count:
            which = "newest" if sort is None else "first"
            click.echo(remark(f"the {which} {SHOWN} of {count} runs; --all lists them all"))


def _is_wanted(record: Record, experiment: str | None, tags: Sequence[str], failed: bool) -> bool:
    return (
        (experiment is None or record.experiment == experiment)
        and set(tags) <= set(record.tags)
        and (not failed or record.status in ("failed", "interrupted", "lost"))
    )


def _nothing(store: RunStore, experiment: str | None, tags: Sequence[str]) -> str:
    """Why there is nothing to list: the store is empty, a name is none of those that there are, or no run fits."""
    if not len(store):
        return f"no runs yet in {store.path}: @record makes one of each call, `recorder run` of one"
    entries = store.entries()
    known = {
        "experiment": {e.experiment for e in entries},
        "tag": {t for e in entries for t in e.tags},
    }
    asked = [("experiment", experiment)] * (experiment is not None) + [("tag", tag) for tag in tags]
    for kind, name in asked:
        if name is not None and name not in known[kind]:
            from difflib import get_close_matches

            near = get_close_matches(name, sorted(known[kind]), n=3)
            return f"no such runs: no {kind} {name!r}" + (
                f", did you mean {', '.join(near)}?" if near else ""
            )
    return "no such runs"


def _known_names(store: RunStore, text: str, records: Sequence[Record]) -> list[str]:
    """The names in the text, between commas, ``-`` before them left out. Raises QueryError where no run has one."""
    names: list[Name] = []
    at = 0
    for part in text.split(","):
        name = part.strip().removeprefix("-")
        if name:
            names.append(Name(name, at + part.index(name)))
        at += len(part) + 1
    missing = [one for one in names if not _has_any(records, one.text)]
    if missing and records:
        check_names(text, missing, (record.to_document() for record in store.runs()))
    return [name.text for name in names]


def _has_any(records: Sequence[Record], name: str) -> bool:
    """Whether one of the runs has the name: mostly the first that is asked."""
    find = parse_key(name)
    return any(find(record.to_document()) is not None for record in records)


def _print_groups(
    records: Sequence[Record],
    names: Sequence[str],
    *,
    sort: str | None,
    limit: int | None,
    as_csv: bool,
    as_json: bool,
) -> None:
    groups = group(records, [parse_key(name) for name in names])
    if sort is not None:
        groups = _sorted_groups(groups, names, sort)
    groups = groups[:limit]
    if as_json:
        _print_json(groups_document(groups, names))
    elif as_csv:
        _print_csv(groups_rows(groups, names))
    else:
        click.echo(groups_table(groups, names) if groups else "no such runs")


def _sorted_groups(groups: Sequence[Group], names: Sequence[str], sort: str) -> list[Group]:
    """By the value of one of the names, or by a metric's mean."""
    name = sort.removeprefix("-")

    def value(one: Group) -> Any:
        if name in names:
            return one.values[names.index(name)]
        spread = one.metrics.get(name.removeprefix("metrics."))
        return None if spread is None else spread.mean

    return sort_by_value([(value(one), one) for one in groups], reverse=sort.startswith("-"))


def _sorted(records: Sequence[Record], sort: str) -> list[Record]:
    """By the value of the name, those without it last; ``-name`` for the largest first."""
    value = parse_key(sort.removeprefix("-"))
    pairs = [(value(record.to_document()), record) for record in records]
    return sort_by_value(pairs, reverse=sort.startswith("-"))


def _print_json(documents: list[Any]) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(documents)))


def _print_csv(rows: Iterable[Sequence[Any]]) -> None:
    import csv

    csv.writer(sys.stdout, lineterminator="\n").writerows(rows)


def _rows(records: Sequence[Record]) -> Iterable[Sequence[str]]:
    documents = [record.to_document() for record in records]
    names = dict.fromkeys(FIELDS)
    for document in documents:
        known = known_names(document)
        names.update(dict.fromkeys(sorted(n for n in known if n.startswith("config."))))
        names.update(dict.fromkeys(f"metrics.{name}" for name in document["metrics"]))
    yield list(names)
    values = [parse_key(name) for name in names]
    yield from ([cell(value(document)) for value in values] for document in documents)
