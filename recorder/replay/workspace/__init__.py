"""The clean folder that a replay runs in: code, inputs, paths."""
