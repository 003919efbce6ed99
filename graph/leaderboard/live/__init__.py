"""Who watches a board, and what they are told."""
