"""Replay: run a record again in a clean workspace, and say what came of it."""
