"""The commands for users and API keys."""
