"""The process that runs a replay, and its job."""
