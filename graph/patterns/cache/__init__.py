"""A cache that never shows an outdated value after an acknowledged write."""
