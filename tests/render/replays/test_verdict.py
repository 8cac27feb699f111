"""Tests of the table of a verdict."""

from __future__ import annotations

import click

from recorder.compare.items import Item, NumberPair, Verification
from recorder.render.replays.verdict import item_columns
from recorder.render.text import render


def table(*numbers: NumberPair) -> list[list[str]]:
    """Return the words of each line of the table for a result and an output."""
    items = (
        Item(kind="result", name="result", verdict="different", numbers=numbers),
        Item(kind="output", name="x.csv", verdict="identical"),
    )
    verification = Verification(verdict="diverged", items=items)
    lines = click.unstyle(render(item_columns(verification))).splitlines()
    return [line.split() for line in lines]


def test_the_numbers_of_a_result_are_in_the_table() -> None:
    """A number is next to the verdict, and numbers inside a result have a row each."""
    assert table(NumberPair(name="result", recorded=0.5, replayed=0.25))[:2] == [
        ["what", "name", "verdict", "recorded", "replayed"],
        ["result", "result", "different", "0.5", "0.25"],
    ]
    loss = NumberPair(name="result.loss", recorded=0.5, replayed=0.25)
    assert table(loss)[1:] == [
        ["result", "result", "different"],
        ["result.loss", "0.5", "0.25"],
        ["output", "x.csv", "identical"],
    ]
    assert table()[0] == ["what", "name", "verdict"]


def test_numbers_have_the_digits_that_differ() -> None:
    """Equal numbers have six digits, and others as many as show the difference."""
    for recorded, replayed, shown in (
        (1 / 3, 1 / 3, ["0.333333", "0.333333"]),
        (0.9000000007, 0.9000000006, ["0.9000000007", "0.9000000006"]),
        (0.1 + 0.2, 0.3, ["0.30000000000000004", "0.3"]),
        (1795927137.75, 1795927139.25, ["1795927138", "1795927139"]),
        (123456789012345678, 123456789012345679, ["123456789012345678", "123456789012345679"]),
        (1.0, float("inf"), ["1", "inf"]),
        (float("nan"), 1.0, ["nan", "1"]),
    ):
        pair = NumberPair(name="result", recorded=recorded, replayed=replayed)
        assert table(pair)[1][3:] == shown
