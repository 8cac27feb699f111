"""Replay runs from the command line: which ones, and what came of them."""
