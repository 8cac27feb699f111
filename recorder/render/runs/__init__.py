"""Runs as tables: one run, lists, groups, sweeps, environments."""
