"""The caller of a request, and how a product connects its own sign-in to the endpoint.

A product gives the endpoint an `Authenticator`. One whose sessions live in Redis is a `BatchAuthenticator`, too.
"""

from graph.endpoint.identity.anonymous import Anonymous, limit_address
from graph.endpoint.identity.caller import PUBLIC, Authenticator, BatchAuthenticator, Caller
from graph.endpoint.identity.context import NotesViewer, begin_batch, notes_viewer, shared_by_batch, viewer_touched

__all__ = [
    "PUBLIC",
    "Anonymous",
    "Authenticator",
    "BatchAuthenticator",
    "Caller",
    "NotesViewer",
    "begin_batch",
    "limit_address",
    "notes_viewer",
    "shared_by_batch",
    "viewer_touched",
]
