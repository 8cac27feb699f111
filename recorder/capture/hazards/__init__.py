"""Hazards: things a run did that a replay may find different, with their lines."""
