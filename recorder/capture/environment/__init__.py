"""The environment of a run: interpreter, packages, hardware, native libraries, processes and ranks."""
