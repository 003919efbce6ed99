"""SQLite: a driver for SQLAlchemy that goes to a connection's thread once for a statement, or once for a transaction.

`Driver` opens connections (`SqliteConnection`); `SqliteDirect` is what is done with them past SQLAlchemy.
"""

from graph.engines.sqlite.direct import SqliteDirect
from graph.engines.sqlite.driver import Driver, SqliteConnection

__all__ = ["Driver", "SqliteConnection", "SqliteDirect"]
