"""Tests of the query language, and of its error messages."""

from __future__ import annotations

import csv
import io
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from project import Project
from tinydb import TinyDB
from tinydb.storages import MemoryStorage

from recorder import codec
from recorder.errors import QueryError
from recorder.records import Function, Metric, Record, Seed, new_id
from recorder.store.query.fields import parse_key
from recorder.store.query.query import parse_query

NOW = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)


def run(number: int = 1, result: Any = None, **fields: Any) -> dict[str, Any]:
    """Return the document of a run whose config is the fields, except `tags`, `status`, `started` and `metrics`."""
    known = {
        key: fields.pop(key) for key in ("tags", "status", "started", "metrics") if key in fields
    }
    known.setdefault("started", NOW)
    return Record(
        id=new_id(),
        experiment="train",
        function=Function(module="m", qualname="train"),
        number=number,
        config={key: codec.encode(value).form for key, value in fields.items()},
        seed_info=Seed(value=7, origin="drawn"),
        result=codec.encode(result).form,
        **known,
    ).to_document()


def holds(text: str, document: dict[str, Any]) -> bool:
    """Return whether the run satisfies the query."""
    return parse_query(text, now=NOW)(document)


RUN = run(
    3,
    {"score": 0.5, "deep": {"er": [1, 2]}},
    lr=0.01, optim={"name": "sgd", "lr": 0.5}, layers=(64, 32), nan=float("nan"), big=2**70, name="a b", flag=True,
    none=None, status="finished", tags=("paper", "x"), started=NOW - timedelta(days=1, hours=1),
    metrics={"loss": Metric(last=0.25, min=0.125, max=2.0, count=9), "val.acc": Metric(last=0.9, min=0, max=1, count=2)},
)  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "lr == 0.01", "lr < 0.02 and lr > 0.001", "0.001 < lr <= 0.01", "config.lr == 1e-2", "not lr > 1",
        "optim.name == 'sgd'", "optim.lr == 0.5", "lr == 1 or optim.lr == 0.5", "layers == [64, 32]", "64 in layers",
        "metrics.loss < 0.5", "loss == 0.25", "metrics.loss.min == 0.125", "loss.count == 9", "metrics.val.acc > 0.8",
        "val.acc.max == 1", "result.score == 0.5", "result.deep.er == [1, 2]", "status == 'finished'", "seed == 7",
        "'paper' in tags", "'y' not in tags", "experiment in ['train', 'test']", "number >= 3", "name == 'a b'",
        "started < '1 day ago'", "started > '2 days ago'", "started > '2026-11-23'", "started < 'today'",
        "nan != nan", "big > 1e20", "flag", "flag == True", "none == None", "missing == None", "verdict == None",
    ],
)  # fmt: skip
def test_what_holds(text: str) -> None:
    """Each of these queries is true for the run, and its negation is false."""
    assert holds(text, RUN) and not holds(f"not ({text})", RUN)


@pytest.mark.parametrize(
    "text",
    ["lr > 1", "missing > 1", "missing < 1", "missing == 1", "name > 3", "none > 1", "started > 'yesterday' and lr > 1",
     "loss.nothing == 1", "result.nothing == 1", "'a' in missing"],
)  # fmt: skip
def test_what_does_not_hold(text: str) -> None:
    """Each of these queries is false: a missing value satisfies no comparison, and different types do not compare."""
    assert not holds(text, RUN)


@pytest.mark.parametrize(
    ("text", "at"),
    [("lr >", 4), ("open('x')", 0), ("lr > 1 and f(2)", 11), ("lr = 1", 0), ("started > 'tomorrowish'", 10), ("", 0),
     ("a[0] == 1", 0), ("lambda: 1", 0), ("lr == (1", 8)],
)  # fmt: skip
def test_a_mistake_is_shown_where_it_is(text: str, at: int) -> None:
    """A syntax error is reported with a caret under the mistake, and nothing is evaluated."""
    with pytest.raises(QueryError) as caught:
        parse_query(text)
    what, shown, caret = str(caught.value).split("\n")
    assert what and shown == f"  {text}"
    assert abs(caret.index("^") - 2 - at) <= 1, str(caught.value)


def test_a_name_that_no_run_has() -> None:
    """A name that no run has raises an error with similar names."""
    with pytest.raises(QueryError, match="did you mean") as caught:
        parse_query("lr > 0 and metrics.los > 1").check([RUN])
    assert "metrics.loss" in str(caught.value) and caught.value.at == 11
    parse_query("metrics.loss > 1 and status == 'x' and optim == 1").check([RUN])


def test_it_is_a_query_of_tinydb() -> None:
    """A query works in TinyDB's search, alone and combined with a TinyDB query."""
    from tinydb import where

    db = TinyDB(storage=MemoryStorage)
    for number in range(5):
        db.insert(run(number, lr=number / 10))
    query = parse_query("lr > 0.1")
    assert [d["number"] for d in db.search(query.test)] == [2, 3, 4]
    assert [d["number"] for d in db.search(query.test & (where("number") < 4))] == [2, 3]


@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_numbers_compare_as_python_does(value: float, bound: float) -> None:
    """A number of the config compares as in Python, infinities included."""
    document = run(x=value)
    for op in ("<", "<=", "==", "!=", ">=", ">"):
        literal = (
            repr(bound) if abs(bound) != float("inf") else ("1e999" if bound > 0 else "-1e999")
        )
        assert holds(f"x {op} {literal}", document) == eval(f"value {op} bound")


def test_keys() -> None:
    """A name returns its value in a document, None if it is absent."""
    assert parse_key("metrics.loss.max")(RUN) == 2.0 and parse_key("tags")(RUN) == ("paper", "x")
    assert parse_key("optim.name")(RUN) == "sgd" and parse_key("nothing")(RUN) is None


def test_the_list(project: Project) -> None:
    """The command filters, sorts, selects columns and writes CSV; a syntax error ends with status 2 and a caret."""
    project.write(
        "train.py",
        """
        from recorder import record, log

        @record(tags=["paper"])
        def train(lr, name="a"):
            log(loss=1 / lr)
            if lr == 3:
                raise ValueError("as asked")

        for lr in (1, 4, 2):
            train(lr)
        try:
            train(3, name="b")
        except ValueError:
            pass
        """,
    )
    project.python("train.py")

    def numbers(*options: str) -> list[str]:
        lines = project.recorder("list", "--columns", "lr", *options).stdout.splitlines()[1:]
        return [line.split()[0] for line in lines]

    assert numbers() == ["1", "2", "3", "4"]
    assert numbers("--where", "lr >= 2 and metrics.loss < 0.5") == ["2", "4"]
    assert numbers("--sort", "-lr") == ["2", "4", "3", "1"] and numbers(
        "--sort", "loss", "-n", "1"
    ) == ["2"]
    assert numbers("--failed") == ["4"] and numbers("--tag", "nothing") == []
    assert numbers("--where", "name == 'b'", "--tag", "paper") == ["4"]
    rows = list(csv.DictReader(io.StringIO(project.recorder("list", "--csv").stdout)))
    assert [row["config.lr"] for row in rows] == ["1", "4", "2", "3"] and rows[0][
        "metrics.loss"
    ] == "1.0"
    said = project.recorder("list", "--where", "lrr > 1", status=2).stderr
    assert "did you mean lr" in said and said.splitlines()[-1].strip() == "^"
    for option in ("--sort=-lrr", "--columns=lrr", "--group-by=loss,lrr"):
        said = project.recorder("list", option, status=2).stderr
        assert "no run has 'lrr': did you mean lr" in said and said.splitlines()[-1].strip() == "^"
    assert (
        "no experiment 'trian', did you mean train?"
        in project.recorder("list", "-e", "trian").stdout
    )
