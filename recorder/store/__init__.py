"""Where records and objects live: one folder, described in the README under "The store"."""
