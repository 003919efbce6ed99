"""newproject: features of its own on graph-server."""
