"""What only the tests share. What the benchmarks need as well is in `harness`."""
