"""The clean folder in which a replay runs: code, inputs, and redirected paths."""
