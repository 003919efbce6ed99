"""Applications to test: the product's whole one, and small ones of nobody's product, each with what it serves."""
