"""Compiled operations: a prepared operation becomes a tree of closures that gives what graphql-core's executor gives.

graphql-core looks at the schema and the document anew for every value that it completes. Most of that is known once the
document is. `Compiler.begin` compiles an operation when it first runs and keeps it with the operation; what it makes is
an executor like graphql-core's. `docs/decisions/compiled.md` tells why, and what is left to graphql-core.

Guarantee: data, the order of keys, errors (message, path, locations, cause, order), which resolvers run, in which turn
of the event loop, and what they are told, are graphql-core's; the tests run both side by side on operations made up by
hypothesis. Failure: an operation that cannot be compiled is executed by graphql-core (`Compiler.begin` gives None).
"""

from graph.endpoint.execution.compiled.program import Compiler

__all__ = ["Compiler"]
