"""Running an operation: its hooks, its turn, its deadline, and the executor that makes the answer."""
