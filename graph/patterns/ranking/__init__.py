"""Rankings whose ranks, scores and neighbours are read at one instant."""
