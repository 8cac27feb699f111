"""Find runs: references, fields, the query language, the catalogue."""
