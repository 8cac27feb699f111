"""Durable writes and locks."""
