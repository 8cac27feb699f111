"""Recorded environments as requirements, lock files, and rebuilt virtual environments."""
