"""Diffs as tables, patches and variations."""
