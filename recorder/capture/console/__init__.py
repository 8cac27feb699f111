"""The console of a run, copied down to the file descriptors."""
