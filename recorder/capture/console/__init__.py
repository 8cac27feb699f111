"""Capture of a run's console output at the level of file descriptors."""
