"""What an operator does with users and with API keys."""
