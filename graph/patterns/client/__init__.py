"""The Redis client: one multiplexed connection a node, one write for all that is asked in a tick of the event loop."""
