"""The code of a run: the working tree, the function and its source, editable projects."""
