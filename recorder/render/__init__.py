"""How runs, records, differences and verdicts look in a terminal."""
