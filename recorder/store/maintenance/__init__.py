"""Garbage collection, disk usage and integrity checks."""
