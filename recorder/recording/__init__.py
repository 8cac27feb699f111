"""From a call to a finished record: the experiment, its project, the run in progress, its outputs and inputs."""
