"""Run experiments from the command line: scripts, options, sweeps, restarts."""
