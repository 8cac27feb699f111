"""Curves, in the terminal and as pictures."""
