"""Products and categories: SQL is the truth, reads come through the cache."""
