"""Read what runs left: outputs, console, series."""
