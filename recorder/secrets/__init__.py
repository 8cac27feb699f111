"""Keep credentials out of the store: names, patterns, redaction, and the key that signs records."""
