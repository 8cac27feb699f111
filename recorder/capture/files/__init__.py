"""The files that a run reads and writes, seen by audit hook, library hooks and scans."""
