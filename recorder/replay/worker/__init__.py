"""The process that a replay runs in, and the job that it is given."""
