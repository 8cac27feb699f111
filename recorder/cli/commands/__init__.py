"""One module a command; each is imported with its first use."""
