"""Queries over runs: matches, mistakes and types."""

from __future__ import annotations

import csv
import io
import json
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
from recorder.store.query.query import parse_query, plain_name

NOW = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)


def run(number: int = 1, result: Any = None, **fields: Any) -> dict[str, Any]:
    """Return the document of a run; the fields except `tags`, `status`, `started`, `metrics` are its config."""
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
    """Each of these holds for the run, and its negation does not."""
    assert holds(text, RUN) and not holds(f"not ({text})", RUN)


@pytest.mark.parametrize(
    "text",
    ["lr > 1", "missing > 1", "missing < 1", "missing == 1", "name > 3", "none > 1", "started > 'yesterday' and lr > 1",
     "loss.nothing == 1", "result.nothing == 1", "'a' in missing"],
)  # fmt: skip
def test_what_does_not_hold(text: str) -> None:
    """None of these holds: what a run has not satisfies no comparison, and unlike things do not compare."""
    assert not holds(text, RUN)


@pytest.mark.parametrize(
    ("text", "at"),
    [("lr >", 4), ("open('x')", 0), ("lr > 1 and f(2)", 11), ("lr = 1", 0), ("started > 'tomorrowish'", 10), ("", 0),
     ("a[0] == 1", 0), ("lambda: 1", 0), ("lr == (1", 8), ("größe == '数' and f(2)", 16), ("`a` == 1 and `b", 13), ("`` == 1", 0),
     ("x\0 == 1", 1), ("a in {[1]}", 5), ("started > '9e99 days ago'", 10),
     ("started > '99999999999999 days ago'", 10), ],
)  # fmt: skip
def test_a_mistake_is_shown_where_it_is(text: str, at: int) -> None:
    """A mistake is an error with a caret under its place, and nothing is evaluated."""
    with pytest.raises(QueryError) as caught:
        parse_query(text)
    what, shown, caret, *grammar = str(caught.value).split("\n")
    assert what and shown == f"  {text}"
    assert abs(caret.index("^") - 2 - at) <= 1, str(caught.value)
    assert [line.partition(":")[0] for line in grammar[-2:]] == ["names", "values"] or not grammar


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("lambda > 1", "if lambda is a name, write `lambda`"),
        ("learning-rate > 1", "`learning-rate`"),
        ("lr = 1", "write =="),
    ],
)
def test_advice_for_a_mistake(text: str, hint: str) -> None:
    """A keyword as a name, a dash in a name and a single = get advice, and the grammar in three lines."""
    with pytest.raises(QueryError) as caught:
        parse_query(text)
    assert hint in str(caught.value) and len(str(caught.value).split("\n")) == 6


def test_names_that_are_no_identifiers() -> None:
    """Brackets and backquotes reach names with slashes, dashes, dots and spaces, and keywords."""
    document = run(
        2, {"a b": 1}, **{"learning-rate": 0.5, "lambda": 2, "größe": 3, "nested": {"x/y": 4}},
        metrics={"val/loss": Metric(last=0.25, min=0.125, max=2.0, count=9)},
    )  # fmt: skip
    for text in (
        'metrics["val/loss"] == 0.25', '`val/loss` < 0.3', 'metrics["val/loss"].min == 0.125', "metrics.`val/loss`.max == 2",
        "`learning-rate` == 0.5", 'config["learning-rate"] == 0.5', "`lambda` == 2", "größe == 3 and `größe` == 3",
        'nested["x/y"] == 4', 'result["a b"] == 1', '`learning-rate` == 0.5 and note != "a `b` c"', 'config["lambda"] in [2]',
    ):  # fmt: skip
        assert holds(text, document), text
    assert (
        plain_name('metrics["val/loss"].min') == "metrics.val/loss.min"
        and plain_name("val/loss") == "val/loss"
    )
    with pytest.raises(QueryError) as caught:
        parse_query('`learning-rate` > 0 and metrics["val/los"] > 1').check([document])
    assert "metrics.val/loss" in str(caught.value) and caught.value.at == 24


def test_inputs_and_outputs() -> None:
    """Inputs and outputs are found by path, the end of a path, and the first digits of a digest."""
    document = run(lr=1)
    document["inputs"] = [{"path": "data/train.csv", "digest": "blake3:0123456789abcdef"}]
    document["outputs"] = [{"name": "model.npy", "digest": "blake3:fedcba9876543210"}]
    for text in (
        '"data/train.csv" in inputs', '"train.csv" in inputs', '"rain.csv" not in inputs', '"model.npy" in outputs',
        'inputs["data/train.csv"] == "blake3:0123456789abcdef"', 'inputs["train.csv"] == "012345"',
        'outputs["model.npy"] != "012345"', 'outputs["nothing"] == None', 'outputs["model.npy"] != "fed"', "inputs",
    ):  # fmt: skip
        assert holds(text, document), text
    parse_query('inputs["data/train.csv"] == "9"').check([document])
    assert holds("inputs == 3", run(inputs=3))  # a config key of that name wins


@pytest.mark.parametrize(
    ("text", "message"),
    [('lr == "abc"', "lr is a number in every run, but the query compares it with the string 'abc'"),
     ("name > 3", "name is a string in every run, but the query compares it with the number 3"),
     ("lr == 'abc' or mixed == 'abc'", "lr is a number"), ("flag == 'abc'", ""), ("missing == 'abc'", ""),
     ("mixed == 'abc'", ""), ("mixed == 3", ""), ("lr == 1", ""), ("started == 3", "")],
)  # fmt: skip
def test_types_that_never_match(text: str, message: str) -> None:
    """A comparison of a number with a string is reported if no run has another type there."""
    query = parse_query(text)
    for document in (
        run(lr=1, mixed="a", name="x", flag=True),
        run(lr=2, mixed=3, name="y", flag=False),
    ):
        query(document)
    assert "; ".join(query.type_mismatches()).startswith(message)
    assert bool(query.type_mismatches()) == bool(message)


@given(
    st.recursive(
        st.one_of(
            st.sampled_from(["lr", "name", "tags", "started", "big", "metrics.loss", "missing", "inputs", "'a'", "1e999",
                             "-1", "10**9", "None", "[1, 'a']", "'2 days ago'", "\"9999999999 days ago\"", "{1: 2}", "(1, 2)"]),
            st.integers().map(str), st.floats().map(repr), st.text(max_size=4).map(repr),
        ),
        lambda part: st.builds(
            "({} {} {})".format, part, st.sampled_from(["<", "==", "in", "not in", "is", "and", "or", "!=", ">="]), part
        ),
        max_leaves=6,
    )
)  # fmt: skip
def test_no_query_raises_another_error(text: str) -> None:
    """Any query is a QueryError or an answer: never a TypeError, an OverflowError or another one."""
    try:
        query = parse_query(text, now=NOW)
    except QueryError:
        return
    query(RUN)
    query.type_mismatches()


def test_a_name_that_no_run_has() -> None:
    """A name that no run has is an error with the nearest that there is."""
    with pytest.raises(QueryError, match="did you mean") as caught:
        parse_query("lr > 0 and metrics.los > 1").check([RUN])
    assert "metrics.loss" in str(caught.value) and caught.value.at == 11
    parse_query("metrics.loss > 1 and status == 'x' and optim == 1").check([RUN])


def test_it_is_a_query_of_tinydb() -> None:
    """A query serves TinyDB's search, alone and combined with a query of TinyDB's."""
    from tinydb import where

    db = TinyDB(storage=MemoryStorage)
    for number in range(5):
        db.insert(run(number, lr=number / 10))
    query = parse_query("lr > 0.1")
    assert [d["number"] for d in db.search(query.test)] == [2, 3, 4]
    assert [d["number"] for d in db.search(query.test & (where("number") < 4))] == [2, 3]


@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_numbers_compare_as_python_does(value: float, bound: float) -> None:
    """A number of the config compares as it would in Python, infinities too."""
    document = run(x=value)
    for op in ("<", "<=", "==", "!=", ">=", ">"):
        literal = (
            repr(bound) if abs(bound) != float("inf") else ("1e999" if bound > 0 else "-1e999")
        )
        assert holds(f"x {op} {literal}", document) == eval(f"value {op} bound")


def test_keys() -> None:
    """A name gives its value in a document, None where there is none."""
    assert parse_key("metrics.loss.max")(RUN) == 2.0 and parse_key("tags")(RUN) == ("paper", "x")
    assert parse_key("optim.name")(RUN) == "sgd" and parse_key("nothing")(RUN) is None


def test_values_without_a_plain_form(project: Project) -> None:
    """Runs are grouped, listed as JSON and CSV by a path, which plain JSON cannot represent."""
    project.write(
        "f.py",
        """
        from pathlib import Path
        from recorder import record, log

        @record
        def f(path, items, text):
            log(y=1)

        for _ in range(2):
            f(Path("a/b"), [Path("c"), *range(40)], "=1+1")
        """,
    )
    project.python("f.py")
    assert project.recorder("list", "-g", "path").stdout.splitlines()[-1].split()[1] == "2"
    (one,) = json.loads(project.recorder("list", "-g", "path,items", "--json").stdout)
    assert one["runs"] == [1, 2] and "b" in one["group"]["path"]
    row = next(csv.DictReader(io.StringIO(project.recorder("list", "--csv").stdout)))
    assert json.loads(row["config.items"])[1:] == list(range(40))  # whole, however long
    assert row["config.text"] == "'=1+1"  # a spreadsheet must not evaluate it
    row = next(csv.DictReader(io.StringIO(project.recorder("list", "-g", "text", "--csv").stdout)))
    assert row["text"] == "'=1+1"


def test_the_list(project: Project) -> None:
    """The command finds, sorts, picks columns and writes CSV; a mistake ends with 2 and a caret."""
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
    assert "did you mean lr" in said and said.splitlines()[2].strip() == "^"
    for option in ("--sort=-lrr", "--columns=lrr", "--group-by=loss,lrr"):
        said = project.recorder("list", option, status=2).stderr
        assert "no run has 'lrr': did you mean lr" in said and said.splitlines()[2].strip() == "^"
    assert (
        "no experiment 'trian'; did you mean train?"
        in project.recorder("list", "-e", "trian").stdout
    )
