"""Messages to users, and the one-time tokens in them."""
