"""Describe the things that decide a run, while it runs. Capture never sees the store."""
