"""Sessions that end everywhere at once, and the news of their ends."""
