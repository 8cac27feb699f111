"""Formats of files that a run leaves and the store keeps: points, series, the console index, compression."""
