"""Statements as the driver takes them, past SQLAlchemy's execution: for those that come again and again.

`PlainReader` reads rows, and does transactions, of a `Database`; `PlainTransaction` is the connection of such a
transaction, `Statements` that or SQLAlchemy's own. `padded` lets a statement with any number of parameters have few
texts. `NotPlain` is raised where only SQLAlchemy can execute a statement.
"""

from graph.engines.plain.reader import PlainReader
from graph.engines.plain.statement import NotPlain, padded
from graph.engines.plain.transaction import PlainTransaction, Statements

__all__ = ["NotPlain", "PlainReader", "PlainTransaction", "Statements", "padded"]
