"""Export runs to an archive and import them."""
