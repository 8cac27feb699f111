"""The tee: a process that copies the console. It starts without importing the rest of recorder."""
