"""Seasons that end.

`archive` closes one: its final ranking is written to a table that does not change any more. `upkeep` sees to it in the
background that seasons close and old scores go.
"""
