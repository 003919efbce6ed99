"""SQLite: a driver for SQLAlchemy that goes to a connection's thread once for a statement, or once for a transaction.

`Driver` opens connections (`SqliteConnection`); `PlainTransaction` is the connection of work that is done in the thread
from its beginning to its commit, and raises `NotPlain` where it cannot be.
"""

from graph.engines.sqlite.driver import Driver, SqliteConnection
from graph.engines.sqlite.transaction import NotPlain, PlainTransaction, at_once

__all__ = ["Driver", "NotPlain", "PlainTransaction", "SqliteConnection", "at_once"]
