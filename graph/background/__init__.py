"""What runs beside the web server: the worker, the process that keeps one, and what this product does in it."""
