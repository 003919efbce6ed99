"""Answers that were made before, and may be given again."""
