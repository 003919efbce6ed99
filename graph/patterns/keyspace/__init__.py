"""Which database the keys under a prefix were derived from.

`Keyspace` binds the prefix to one state of one database (`Origin`, which says its `Mark`s), and drops what was derived
from another. `ForeignKeyspace` says that this cannot be: processes on another database use the prefix, for example.
"""

from graph.patterns.keyspace.keyspace import ForeignKeyspace, Keyspace
from graph.patterns.keyspace.origin import Mark, Origin, OriginAway

__all__ = ["ForeignKeyspace", "Keyspace", "Mark", "Origin", "OriginAway"]
