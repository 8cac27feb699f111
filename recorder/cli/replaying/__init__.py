"""Replay runs from the command line: select them, and print the results."""
