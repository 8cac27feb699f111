"""``recorder list``: list runs with their config and metrics."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click
import msgspec

from ...compare.groups import Group, group, sort_by_value
from ...records import Record
from ...render.csv import csv_cell
from ...render.runs.groups import groups_document, groups_rows, groups_table
from ...render.runs.runs import remark, runs_table
from ...store.query.fields import FIELDS, known_names, parse_key
from ...store.query.query import Name, check_names
from ...store.store import RunStore
from ..completion import complete_experiments, complete_keys
from ..numbers import WholeNumber
from ..run_selection import RunSelection, selection_options

# More rows than these show nothing at a glance, and take time in a large store.
SHOWN = 50


@click.command()
@click.option(
    "-e",
    "--experiment",
    metavar="NAME",
    shell_complete=complete_experiments,
    help="Only runs of this experiment.",
)
@selection_options
@click.option(
    "-s",
    "--sort",
    metavar="NAME",
    shell_complete=complete_keys,
    help="Sort by this field, config key or metric; -NAME puts the largest first.",
)
@click.option(
    "-n",
    "--limit",
    type=WholeNumber(1),
    metavar="N",
    help=f"Show at most N runs: the newest, or the first with --sort. Default: {SHOWN} for a table.",
)
@click.option("-a", "--all", "every", is_flag=True, help="Show every run.")
@click.option(
    "-c",
    "--columns",
    metavar="NAMES",
    shell_complete=complete_keys,
    help="Show these columns, such as 'lr,metrics.loss.min,commit'.",
)
@click.option(
    "-g",
    "--group-by",
    "by",
    metavar="NAMES",
    shell_complete=complete_keys,
    help="Show one line for each value of these names, such as 'lr,model.depth', with the mean of each metric.",
)
@click.option("--grade", "graded", is_flag=True, help="Show how far each run can be replayed.")
@click.option("--csv", "as_csv", is_flag=True, help="Print fields, config and metrics as CSV.")
@click.option("--json", "as_json", is_flag=True, help="Print the records as a JSON array.")
@click.pass_obj
def command(
    path: str | None,
    experiment: str | None,
    selection: RunSelection,
    sort: str | None,
    limit: int | None,
    every: bool,
    columns: str | None,
    by: str | None,
    graded: bool,
    as_csv: bool,
    as_json: bool,
) -> None:
    """List runs with their config and metrics.

    \b
    Examples:
      recorder list
      recorder list --where 'lr < 0.1 and "paper" in tags' --sort -accuracy
      recorder list --group-by lr

    Values that all runs share stand above the table. For a replay, the verdict stands in place of the status.

    QUERY compares names with values: fields (status, experiment, tags, started, duration, seed, commit, ...), config
    keys (lr, model.depth) and metrics (accuracy, metrics.loss.min). It knows and, or, not, in, parentheses, and
    times such as started > "2 days ago".

    --group-by shows the mean ± standard deviation of each metric's last value over the finished runs.
    """
    store = RunStore(path)
    is_cut = limit is None and by is None and not (every or as_csv or as_json)
    limit = SHOWN if is_cut else limit
    is_plain = not (experiment or sort or by) and selection.is_empty
    records = store.runs(last=limit if is_plain else None, where=selection.where)
    records = [
        one
        for one in records
        if (experiment is None or one.experiment == experiment) and selection.matches(one)
    ]
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
        click.echo(_nothing(store, experiment, selection.tags))
    else:
        chosen = None if columns is None else _known_names(store, columns, records)
        click.echo(runs_table(records, names=chosen, graded=graded))
        if is_cut and len(records) < count:
            which = "newest" if sort is None else "first"
            click.echo(
                remark(f"the {which} {SHOWN} of {count} runs; to list all: recorder list --all")
            )


def _nothing(store: RunStore, experiment: str | None, tags: Sequence[str]) -> str:
    """Explain why there is nothing to list: the store is empty, a name is unknown, or no run matches."""
    if not len(store):
        return f"no runs yet in {store.path}; record one with: recorder run FILE.py:FUNCTION"
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
            hint = f"; did you mean {', '.join(near)}?" if near else ""
            return f"no run matches: no {kind} {name!r}{hint}"
    return "no run matches"


def _known_names(store: RunStore, text: str, records: Sequence[Record]) -> list[str]:
    """Return the names between the commas, without a leading ``-``. Raises QueryError for one that no run has."""
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
    """Return True if one of the runs has the name; usually the first does."""
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
        click.echo(groups_table(groups, names) if groups else "no run matches")


def _sorted_groups(groups: Sequence[Group], names: Sequence[str], sort: str) -> list[Group]:
    """Sort by the value of one of the names, or by the mean of a metric."""
    name = sort.removeprefix("-")

    def value(one: Group) -> Any:
        if name in names:
            return one.values[names.index(name)]
        spread = one.metrics.get(name.removeprefix("metrics."))
        return None if spread is None else spread.mean

    return sort_by_value([(value(one), one) for one in groups], reverse=sort.startswith("-"))


def _sorted(records: Sequence[Record], sort: str) -> list[Record]:
    """Sort by the value of the name, runs without it last; ``-name`` puts the largest first."""
    value = parse_key(sort.removeprefix("-"))
    pairs = [(value(record.to_document()), record) for record in records]
    return sort_by_value(pairs, reverse=sort.startswith("-"))


def _print_json(documents: list[Any]) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(documents, enc_hook=str)))


def _print_csv(rows: Iterable[Sequence[Any]]) -> None:
    import csv

    csv.writer(sys.stdout, lineterminator="\n").writerows(rows)


def _rows(records: Sequence[Record]) -> Iterable[Sequence[Any]]:
    documents = [record.to_document() for record in records]
    names = dict.fromkeys(FIELDS)
    for document in documents:
        known = known_names(document)
        names.update(dict.fromkeys(sorted(n for n in known if n.startswith("config."))))
        names.update(dict.fromkeys(f"metrics.{name}" for name in document["metrics"]))
    yield [csv_cell(name) for name in names]
    finds = [parse_key(name) for name in names]
    yield from ([csv_cell(find(document)) for find in finds] for document in documents)
