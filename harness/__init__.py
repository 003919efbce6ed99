"""What the tests and the benchmarks share: real servers as processes of their own, and waiting for them."""
