"""The store: the folder with the records, the objects and the code snapshots of runs."""
