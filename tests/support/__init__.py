"""What the tests share: real servers in child processes."""
