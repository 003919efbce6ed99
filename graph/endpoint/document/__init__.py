"""From a request to an operation that may run: its text is found, parsed, measured, validated and costed once."""
