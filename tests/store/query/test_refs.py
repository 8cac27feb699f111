"""The names of runs."""

from __future__ import annotations

import pytest

from recorder.errors import RunNotFoundError, TagError
from recorder.store.query.refs import RunNames, check_tag, resolve

RUNS = [
    RunNames(1, "k7c2aaaaaaaaaaaaaaaa", "train", ()),
    RunNames(2, "k7d3bbbbbbbbbbbbbbbb", "train", ("paper",)),
    RunNames(3, "zzzzcccccccccccccccc", "evaluate", ("both",)),
    RunNames(5, "zzzzdddddddddddddddd", "train", ("both",)),
]


@pytest.mark.parametrize(
    ("ref", "number"),
    [
        ("1", 1), ("5", 5), ("5~1", 3), ("last", 5), ("last~0", 5), ("last~3", 1), ("train", 5), ("train~1", 2),
        ("evaluate", 3), ("k7c2", 1), ("K7C2AA", 1), ("k7d3bbbbbbbbbbbbbbbb", 2), ("zzzzc", 3), ("paper", 2),
        ("both~1", 3),
    ],
)  # fmt: skip
def test_each_way_to_name_a_run(ref: str, number: int) -> None:
    """A number, an id's prefix, last, an experiment and a tag each name the run they should."""
    assert resolve(ref, entries=lambda: RUNS) == number


@pytest.mark.parametrize(
    "ref", ["4", "0", "k7c", "trian", "last~4", "train~3", "evaluate~1", "nothing", "1~1", ""]
)
def test_what_names_no_run(ref: str) -> None:
    """A name that fits no run is an error that repeats it."""
    with pytest.raises(RunNotFoundError) as caught:
        resolve(ref, entries=lambda: RUNS)
    assert ref.partition("~")[0] in str(caught.value)


WITH_REPLAYS = [
    RunNames(1, "aaaaaaaa", "train"),
    RunNames(2, "bbbbbbbb", "script"),
    RunNames(3, "cccccccc", "train", replay_of="aaaaaaaa"),
    RunNames(4, "dddddddd", "script", replay_of="bbbbbbbb"),
    RunNames(5, "eeeeeeee", "part", parent="dddddddd"),
    RunNames(6, "ffffffff", "part", parent="eeeeeeee"),
]


@pytest.mark.parametrize(
    ("ref", "number"),
    [("last", 2), ("last~1", 1), ("train", 1), ("script", 2), ("last-replay", 6), ("last-replay~2", 4), ("6", 6)],
)  # fmt: skip
def test_last_is_no_replay(ref: str, number: int) -> None:
    """`last` and an experiment's name skip replays and the runs recorded inside them; `last-replay` finds those."""
    assert resolve(ref, entries=lambda: WITH_REPLAYS) == number


def test_only_replays() -> None:
    """If an experiment or the store has nothing but replays, the error names the newest replay."""
    with pytest.raises(RunNotFoundError, match="only replays of it, the newest is run 6"):
        resolve("part", entries=lambda: WITH_REPLAYS)
    with pytest.raises(RunNotFoundError, match="`last-replay`"):
        resolve("last", entries=lambda: WITH_REPLAYS[2:4])
    with pytest.raises(RunNotFoundError, match="the store has no replay"):
        resolve("last-replay", entries=lambda: WITH_REPLAYS[:2])


def test_several_runs_under_one_name() -> None:
    """A prefix or a tag that several runs share names them all in its error."""
    for ref in ("zzzz", "both"):
        with pytest.raises(RunNotFoundError, match="names 2 runs") as caught:
            resolve(ref, entries=lambda: RUNS)
        assert caught.value.candidates == ("3 (zzzzcccc)", "5 (zzzzdddd)")


def test_the_nearest_candidates_are_named() -> None:
    """A misspelt experiment is met with the nearest one."""
    with pytest.raises(RunNotFoundError, match="did you mean train"):
        resolve("trian", entries=lambda: RUNS)


def test_an_empty_store_says_so() -> None:
    """In an empty store the error names the reason."""
    with pytest.raises(RunNotFoundError, match="empty"):
        resolve("last", entries=list)


@pytest.mark.parametrize("tag", ["8", "8-10", "last", "last-replay", "train~1", "a,b", " a"])
def test_tags_that_would_name_other_runs(tag: str) -> None:
    """A tag that reads as a number, a range or another name of a run is refused."""
    with pytest.raises(TagError):
        check_tag(tag)
