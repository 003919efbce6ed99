"""Who asks: the caller of a request, and how a product tells the endpoint of its own."""
