"""Notes: a feature to begin with. Replace it by one of your own."""
