"""What an operator sees of requests: metrics, and one line each in the access log."""
