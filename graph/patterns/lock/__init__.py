"""Locks over processes, with a fencing number for whatever is written under them.

`Locks.hold` gives the lock for the length of a block; `Held.fence` goes with each write. `LockTimeout` says that others
held it for too long, `LockLost` that it was lost while it was held.
"""

from graph.patterns.lock.lock import Held, Hold, LockLost, Locks, LockTimeout

__all__ = ["Held", "Hold", "LockLost", "LockTimeout", "Locks"]
