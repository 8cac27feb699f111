"""Replay several runs, or one run several times."""
