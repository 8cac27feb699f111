"""Runs in progress, and the recovery of those that were killed."""
