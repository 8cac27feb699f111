"""Record a call: from an experiment and its project to the run in progress, its inputs and outputs, and its record."""
