"""How an endpoint keeps answers: one value that makes the fast lane, and the way for requests known by their bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graph.endpoint.identity import BatchAuthenticator
from graph.endpoint.kept.approach import realm_of
from graph.endpoint.kept.errand import Errands
from graph.endpoint.kept.express import Express
from graph.endpoint.kept.lane import Lane

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from strawberry.extensions import SchemaExtension

    from graph.endpoint.document import OperationRequest
    from graph.endpoint.execution import Engine
    from graph.endpoint.identity import Authenticator
    from graph.endpoint.kept.errand import Perform
    from graph.endpoint.observe import Tally, Tracing
    from graph.patterns.cache import ByteCache
    from graph.patterns.client import Client


@dataclass(frozen=True, slots=True)
class KeptAnswers:
    """Keep answers in `cache`, and ask Redis through `client`, in one batch a request.

    Unless `enabled`, every operation is executed, and answered with the same headers. With `debug` an answer tells in
    ``extensions.cache`` how it was made. Unless `recognise`, every request is parsed; `tally` hears of each answer to
    one that was recognised, and with `eager` that begins with the second request with one head. `forwarded` says that
    the server believes what proxies tell of their clients. Nothing is executed for a kept answer, so the schema's
    extensions do not see the operation: `unseen` are those of which somebody has said that this is right. With
    `mutations` those that are recognised are executed at once, so that no middleware sees them, and their request's
    `state` is what the lifespan left. Endpoints give each other's answers where they have the same schema and the same
    `realm`: name one where the same user, or context, is not the same for another endpoint.
    """

    client: Client
    cache: ByteCache
    enabled: bool = True
    debug: bool = False
    recognise: bool = True
    tally: Tally | None = None
    eager: bool = False
    forwarded: bool = False
    mutations: bool = False
    unseen: Collection[type[SchemaExtension]] = ()
    realm: str = ""

    def lane(self, engine: Engine[Any], authenticator: Authenticator) -> Lane[Any]:
        """The fast lane in front of `engine`.

        Raises TypeError unless `authenticator` is a `BatchAuthenticator`, and for an extension of the schema that would
        miss operations.
        """
        engine.extensions.check_kept(self.unseen)
        if not isinstance(authenticator, BatchAuthenticator):
            raise TypeError(
                "kept answers need a BatchAuthenticator: the session is checked in the batch that asks Redis"
            )
        realm = realm_of(engine.schema, self.realm)
        return Lane(engine, authenticator, self.client, self.cache, realm=realm, enabled=self.enabled, debug=self.debug)

    def express(
        self,
        lane: Lane[Any],
        read: Callable[[bytes], OperationRequest | None],
        perform: Perform,
        tracing: Tracing | None = None,
    ) -> Express | None:
        """The object that answers requests before they are parsed; only an unknown body is parsed, by `read`.

        None where every request is parsed. Mutations are executed by `perform`, but for those that `tracing` wants,
        which are left to the endpoint.
        """
        if not self.recognise or not self.enabled or self.debug:
            return None
        errands = Errands(lane, self.client, perform, tally=self.tally, tracing=tracing) if self.mutations else None
        return Express(
            lane,
            self.client,
            read,
            forwarded=self.forwarded,
            tally=self.tally,
            eager=self.eager,
            tracing=tracing,
            errands=errands,
        )
