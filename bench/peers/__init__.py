"""The servers that benchmarks run beside this one, and what it takes to start, check and load them."""
