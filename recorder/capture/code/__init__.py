"""Capture of a run's code: the working tree, the function and its source, and editable projects."""
