"""Products from files: read, checked, written in bulk."""
