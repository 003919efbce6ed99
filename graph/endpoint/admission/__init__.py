"""Who may run how many operations."""
