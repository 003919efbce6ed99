"""Which processes there are, and what each of them says of itself.

A process opens a `Roster` and is on it until it closes it, or has not been heard of for `GONE` seconds; `on_roster`
reads who is.
"""

from graph.patterns.roster.roster import GONE, Roster, RosterEntry, on_roster

__all__ = ["GONE", "Roster", "RosterEntry", "on_roster"]
