"""The config of a run from what a person writes: texts on a command line, files, presets, grids."""
