"""Run several experiments in one command, each cell of a sweep in a process with its own config and seed."""
