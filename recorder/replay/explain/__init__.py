"""Find the cause of a divergence by changing one factor at a time."""
