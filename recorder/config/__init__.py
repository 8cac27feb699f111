"""Config values from command-line settings, files, presets and grids."""
