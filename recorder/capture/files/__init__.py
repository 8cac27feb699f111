"""Capture of the files that a run reads and writes, by audit hook, library hooks, and scans."""
