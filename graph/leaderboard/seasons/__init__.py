"""Seasons that end: their archive, and the upkeep of boards."""
