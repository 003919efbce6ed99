"""Exact sliding-window limits."""
