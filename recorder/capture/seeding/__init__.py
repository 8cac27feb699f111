"""Seeds: plant them in every generator, restore the state, and note where entropy was drawn."""
