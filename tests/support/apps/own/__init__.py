"""An application of nobody's product: bells that ring, and the accounts of the server."""
