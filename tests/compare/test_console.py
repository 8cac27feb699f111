"""Tests of the comparison of console output: clocks and durations are ignored, everything else decides."""

from __future__ import annotations

import pytest

from recorder.compare.console import compare_console

# Lines of real programs that differ between two runs only in clocks, durations, and rates.
NOISE = [
    ("2026-11-29 04:10:00,123 INFO start", "2026-11-30 05:11:01,456 INFO start"),
    ("[04:10:00] epoch 1 loss 0.5", "[14:33:59] epoch 1 loss 0.5"),
    ("Sun Nov 29 04:10:00 UTC 2026", "Mon Nov 30 11:12:13 UTC 2026"),
    ("elapsed: 1.23 s", "elapsed: 12.9 s"),
    ("Elapsed time: 0.41", "Elapsed time: 0.39"),
    ("done in 3.2s, accuracy 0.91", "done in 3.9s, accuracy 0.91"),
    ("epoch 3 took 1 min 3.5 s", "epoch 3 took 1 min 9.1 s"),
    ("{'train_runtime': 1.5, 'loss': 2.0}", "{'train_runtime': 1.7, 'loss': 2.0}"),
    ("'training_time_s': 0.31", "'training_time_s': 0.52"),
    ("speed 3.1 it/s", "speed 2.7 it/s"),
    ("98.3us/step - loss: 0.31", "101us/step - loss: 0.31"),
    (" 50%|### | 5/10\r100%|######| 10/10 [00:01<00:00, 9.1it/s]", "100%|######| 10/10 [00:02<00:00, 4.1it/s]"),
]  # fmt: skip
# Their twins differ in a result, and must decide.
RESULTS = [
    ("2026-11-29 04:10:00,123 INFO loss 0.5", "2026-11-30 05:11:01,456 INFO loss 0.6"),
    ("0.5412436942629693", "0.7388090864455522"),
    ("1764389400.123", "1764389401.456"),
    ("period: 2.006 s", "period: 2.007 s"),
    ("half-life 5 s", "half-life 6 s"),
    ("done in 3.2s, accuracy 0.91", "done in 3.2s, accuracy 0.92"),
    ("epoch 3 took 1 s, loss 0.4", "epoch 4 took 1 s, loss 0.4"),
    ("{'train_runtime': 1.5, 'loss': 2.0}", "{'train_runtime': 1.5, 'loss': 2.1}"),
    ("best date 2026-11-29", "best date 2026-11-30"),
    ("time limit 3", "time limit 4"),
    ("runtime error in step 3", "runtime error in step 4"),
    ("step 3", "step 3\nstep 4"),
    ("a  b", "a b"),
]


@pytest.mark.parametrize(("a", "b"), NOISE)
def test_clocks_and_durations_are_ignored(a: str, b: str) -> None:
    """Output that differs in clocks, durations, and rates is equal."""
    assert compare_console("stdout", a + "\n", b + "\n").verdict == "equal"


@pytest.mark.parametrize(("a", "b"), RESULTS)
def test_results_decide(a: str, b: str) -> None:
    """Output that differs in anything else is different."""
    assert compare_console("stdout", a + "\n", b + "\n").verdict == "different"


def test_the_same_output() -> None:
    """The same output is identical."""
    assert compare_console("stdout", "x\n", "x\n").verdict == "identical"
