"""Closes seasons.

`archive` closes a season by writing its final ranking to a table that does not change any more. `upkeep` makes sure, in
the background, that seasons are closed and old scores deleted.
"""
