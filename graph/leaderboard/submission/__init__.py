"""The way of a score: committed in groups, put into the index, answered once."""
