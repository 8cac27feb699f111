"""Hazards: behavior of a run that may differ in a replay, with source lines."""
