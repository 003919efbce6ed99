"""What a router cannot have that keeps answers: it is told when the router is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graph.library.limits import OperationLimits
from graph.library.serving.sign_in import AsyncSignIn

if TYPE_CHECKING:
    from strawberry import Schema

    from graph.endpoint.identity import Anonymous


def check_keeping(schema: Schema, who: Anonymous | AsyncSignIn, *, rooted: bool) -> None:
    """Raise `TypeError` for what keeps answers from being kept, or given to whom they are for."""
    if any(isinstance(one, OperationLimits) for one in schema.extensions):
        raise TypeError(
            "RateLimit among the extensions of a schema misses what kept answers answer, and its headers keep any "
            "answer from being kept: with `keep=` say `rates=`, and serve `limited` fields by a router without it"
        )
    if isinstance(who, AsyncSignIn):
        raise TypeError("an async sign_in cannot keep answers: they are found in one trip with everything else")
    if rooted:
        raise TypeError("answers that depend on a root value are nobody else's: leave out `keep` or the getter")
