"""The append-only journal under TinyDB."""
