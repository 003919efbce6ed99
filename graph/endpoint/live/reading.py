"""Reads the answer of a live query: from the kept answers where it is current, else by executing the query.

An answer that others may have goes through the cache of answers: one process of the fleet executes it, under the
cache's lease, and all others read what it made. Any other is executed here and not kept.

Failure: nothing is raised but cancellation. What could not be read is a `LiveReading` whose `errors` say why.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from graph.endpoint.declare import Scope
from graph.endpoint.execution import blank_response, is_untouched
from graph.endpoint.identity import viewer_touched
from graph.endpoint.live.metrics import EXECUTED
from graph.patterns.cache import Made, current_observation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import HTTPConnection
    from starlette.responses import Response

    from graph.endpoint.document import Policy
    from graph.endpoint.execution import Answer, Engine, Ready
    from graph.patterns.cache import ByteCache, Hit, Observation
    from graph.patterns.client import Client

TRANSIENT = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED"})
"""The codes of errors that may be gone at the next reading."""


class LiveQuestion(NamedTuple):
    """What is read: `ready` as its caller, over `connection`; kept under `key`, or not at all."""

    ready: Ready
    connection: HTTPConnection
    policy: Policy
    key: str | None

    @property
    def tags(self) -> list[str]:
        """The tags that its fields declare."""
        return self.policy.tags(self.ready.request.variables)


@dataclass(slots=True)
class LiveReading:
    """An answer, and what it was made of."""

    text: str
    tags: tuple[str, ...]
    stamp: bytes | None
    """None unless it is certain which generations it was made of."""
    expires: float
    """When it has to be read again even if nothing was announced, Unix seconds."""
    errors: Sequence[Mapping[str, Any]] = ()
    data: bool = True
    """Whether it has data."""
    executed: bool = True
    touched: bool = False
    """Whether it may depend on who asks."""
    untagged: bool = False
    """Whether something was read that no tag covers."""
    away: bool = False
    """Whether something was read past Redis, which did not answer."""

    @property
    def failed(self) -> bool:
        """Whether another reading may do better."""
        return self.away or any(one.get("extensions", {}).get("code") in TRANSIENT for one in self.errors)

    @classmethod
    def kept(cls, hit: Hit) -> LiveReading:
        """A kept answer."""
        return cls(hit.body.decode(), hit.tags, hit.stamp, hit.expires)

    @classmethod
    def made(cls, answer: Answer, observed: Observation, question: LiveQuestion) -> LiveReading:
        """An answer that was executed."""
        # What is nobody's own shows an anonymous caller nothing, and will not either.
        nothing = question.policy.scope is Scope.VIEWER and not question.ready.ticket.caller.signed_in
        return cls(
            answer.encode().decode(),
            observed.tags,
            observed.stamp,
            min(time.time() + question.policy.max_age, observed.expires),
            errors=answer.errors,
            data=answer.data is not None,
            executed=answer.executed,
            touched=viewer_touched(answer.context),
            untagged=observed.untagged or not (observed.tags or answer.errors or nothing or not answer.executed),
            away=observed.away,
        )


class Reader:
    """Reads answers."""

    def __init__(self, engine: Engine[Any], client: Client, cache: ByteCache, *, enabled: bool) -> None:
        """Execute with `engine`; keep answers in `cache` if that is `enabled`."""
        self._engine = engine
        self._client = client
        self._cache = cache
        self._enabled = enabled

    async def read(self, question: LiveQuestion) -> LiveReading:
        """The answer as it stands: not older than any write that was acknowledged before this call."""
        made: list[LiveReading] = []

        async def make() -> Made | None:
            EXECUTED.inc()
            response = blank_response()
            with self._engine.monitor.tracing.event():
                answer = await self._engine.run(question.ready, question.connection, response)
            observed = current_observation()
            assert observed is not None
            made.append(LiveReading.made(answer, observed, question))
            return Made(answer.encode(), question.policy.max_age) if _keepable(answer, question, response) else None

        if question.key is None or not self._enabled:
            await self._cache.observed(make, question.tags)
            return made[-1]
        look = self._cache.look(question.key)
        replies = await self._client.batch(*look.commands)
        # Where this process's copy is not current, the request for the lease tells whether there is another entry.
        known = look.copy is not None
        hit = self._cache.judge(look, replies) if known else await self._cache.settle(look, replies)
        if hit is None:
            outdated = look.copy.stamp if look.copy is not None else None
            # Not as `public`: what it reads is stored by itself, because the next reading wants what has not changed.
            hit = await self._cache.bring(question.key, make, question.tags, outdated=outdated)
        return made[-1] if hit is None else LiveReading.kept(hit)


def _keepable(answer: Answer, question: LiveQuestion, response: Response) -> bool:
    if not answer.executed or answer.data is None or answer.errors or answer.extensions or answer.status:
        return False
    if not is_untouched(response):
        return False
    return question.policy.scope is Scope.VIEWER or not viewer_touched(answer.context)
