"""Seeding: plant a run's seed in every random generator, restore their states, and count draws of entropy."""
