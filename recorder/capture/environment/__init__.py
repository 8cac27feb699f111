"""Capture of a run's environment: interpreter, packages, hardware, native libraries, process, and ranks."""
