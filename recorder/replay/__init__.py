"""Replay runs in a clean workspace and compare them with the records."""
