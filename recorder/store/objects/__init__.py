"""Content-addressed objects and trees."""
