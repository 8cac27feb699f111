"""A recorded environment as requirements, as a lock file, or built again."""
