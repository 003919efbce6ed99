"""Background jobs: at least once, on taskiq over a Redis stream, with a record that tells what became of each."""
