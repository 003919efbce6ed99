"""SQLite: a driver for SQLAlchemy that goes to a connection's thread once for a statement, or once for a transaction.

`Driver` opens connections (`SqliteConnection`); `SqliteDirect` is what is done with them past SQLAlchemy. A `Member` is
work of a transaction that others may share, which `member_of` makes. `NearReader` goes to no thread at all.
"""

from graph.engines.sqlite.direct import SqliteDirect, member_of
from graph.engines.sqlite.driver import Driver, SqliteConnection
from graph.engines.sqlite.near import NearReader, near_reader
from graph.engines.sqlite.trips import Member

__all__ = ["Driver", "Member", "NearReader", "SqliteConnection", "SqliteDirect", "member_of", "near_reader"]
