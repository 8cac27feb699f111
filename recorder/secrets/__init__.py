"""Protection of credentials: names, formats, redaction, and the key that signs records."""
