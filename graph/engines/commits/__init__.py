"""Transactions in groups: those that are ready at the same time are committed together.

`Groups` queues items of any kind and has them written group by group. `WholeTransactions` are SQLite's: work that
awaits nothing but its statements, done in one trip to the thread for all who wait.
"""

from graph.engines.commits.groups import Groups
from graph.engines.commits.whole import WholeTransactions

__all__ = ["Groups", "WholeTransactions"]
