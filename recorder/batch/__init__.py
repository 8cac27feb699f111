"""Runs that are started together: a cell each, with its own config and seed."""
