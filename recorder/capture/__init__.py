"""Capture of everything that decides a run, while it runs. Capture does not know the store."""
