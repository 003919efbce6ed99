"""Makes answers, and keeps them under the tags of all that was read for them.

An answer is made under its lease, which is renewed meanwhile. Once it has been handed out, what it depends on is made
as narrow as can be (`narrowing`), it is stored, and the lease given up; or only that, if it may not be kept.

Failure: what is raised while it is made is raised to the caller, and nothing is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from graph.patterns.cache.codec import Frame, pack
from graph.patterns.cache.entries import MADE, Entries, digest_of, hit_of
from graph.patterns.cache.lease import Foresight, jittered
from graph.patterns.cache.local_copies import KNOWN, Copy, trimmed
from graph.patterns.cache.narrowing import finish
from graph.patterns.cache.observation import declare, observing
from graph.patterns.fair_queue import Sharers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from graph.patterns.cache.entries import Hit, Made, Make
    from graph.patterns.cache.generations import Generations, Mark
    from graph.patterns.cache.lease import Lease, Leases
    from graph.patterns.cache.observation import Observation, UnderLease
    from graph.patterns.client import Client

MOST_TAGS = 256
"""An answer with more tags is not kept: checking it would cost more than making it."""


class Making(NamedTuple):
    """How an answer is made: what makes it, the tags it has in any case, and whether everybody gets it.

    `outdated` is the stamp of an entry that is known not to be current. Answers of one `kind` are made alike. The
    `lease` may have been granted before, with the `marks` of those tags, and of others that are `foreseen`.
    """

    make: Make
    tags: Sequence[str]
    public: bool = False
    outdated: bytes | None = None
    kind: str = ""
    lease: Lease | None = None
    marks: Mapping[str, Mark] = {}
    foreseen: Mapping[str, Mark] = {}

    def told(self) -> Sequence[Mark] | None:
        """The marks of its tags as they came with the lease; None if none was granted."""
        return None if self.lease is None else [self.marks.get(tag) for tag in self.tags]


class AnswerFlight:
    """An answer that is being made."""

    __slots__ = ("ended", "found", "granted", "hit", "sharers")

    def __init__(self, *, granted: bool = False) -> None:
        """It may have been `granted` its lease, and have read marks that values are found under, before it begins."""
        self.granted = granted
        loop = asyncio.get_running_loop()
        self.found: asyncio.Future[Hit | None] = loop.create_future()
        """What the caller gets who makes it, before it is kept."""
        self.ended: asyncio.Future[None] = loop.create_future()
        """Done once it is kept, or will not be."""
        self.sharers = Sharers()
        self.hit: Hit | None = None
        """What came of it, current or not: for those who came before it was begun."""

    def hand_out(self, hit: Hit | None) -> None:
        """Let the caller go on."""
        if not self.found.done():  # it may have been cancelled
            self.found.set_result(hit)


def sure(marks: Sequence[Mark] | None) -> Sequence[Mark] | None:
    """`marks`, if none of them is missing."""
    return None if marks is None or None in marks else marks


@dataclass(slots=True)
class Work:
    """One answer in the making: the `lease` it has, the `marks` of its tags if they were read, and what came of it."""

    key: str
    making: Making
    lease: Lease | None
    marks: Sequence[Mark] | None
    flight: AnswerFlight | None = None
    ending: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    """Ends what goes on meanwhile."""
    made: Made | None = None
    observed: Observation | None = None
    delta: float = 0.0
    """Seconds that it took to make."""
    kept: Copy | None = None


class MadeEntries(Entries):
    """Entries, and how they are made."""

    def __init__(
        self, client: Client, generations: Generations, prefix: str, local_bytes: int, beta: float, *, leases: Leases
    ) -> None:
        """As `Entries`."""
        super().__init__(client, generations, prefix, local_bytes, beta, leases=leases)
        self._unkept: dict[str, None] = {}  # keys whose last answer could not be kept: nobody waits for the next one
        self._foresight = Foresight()

    async def _execute(self, work: Work) -> None:
        """Make the answer and hand it out."""
        making, lease = work.making, work.lease
        began = time.perf_counter()
        # What cannot be kept is made each time, of values that then should be found.
        leased = making.public and lease is not None and work.key not in self._unkept
        work.ending.enter_context(self._leases.keeping([lease] if lease is not None else []))
        with observing(leased=leased, foreseen=making.foreseen) as observed:
            await declare(observed, making.tags, self._client, self.generations, work.marks)
            work.made = await making.make()
        work.observed, work.delta = observed, time.perf_counter() - began
        if work.flight is not None:
            work.flight.hand_out(None)
        if (under := observed.lease) is not None and making.kind:
            self._learn(making, under, observed)

    async def _keep(self, work: Work) -> None:
        """Keep the answer that was made, if it may be kept."""
        made, observed = work.made, work.observed
        if made is None or observed is None or work.lease is None:
            return
        await finish(observed, self.generations)
        work.kept = self._fill(work.key, work.lease, made, observed, work.delta)
        if work.kept is not None and work.flight is not None:
            work.flight.hit = hit_of(work.kept)

    def _end(self, work: Work) -> None:
        work.ending.close()
        self._past.drop(work.key)
        if work.lease is not None and work.kept is None:
            self._leases.give_up([work.lease])
            self._unkept[work.key] = None
        if len(self._unkept) > KNOWN or work.kept is not None:
            self._unkept.pop(work.key if work.kept is not None else next(iter(self._unkept)), None)

    def _learn(self, making: Making, under: UnderLease, observed: Observation) -> None:
        """Note what answers of the kind load, unless all of it was foreseen."""
        if not (under.read and under.missed.keys() <= making.foreseen.keys()):
            self._foresight.learn(making.kind, under.missed, observed.found())

    def _fill(self, key: str, lease: Lease, made: Made, observed: Observation, delta: float) -> Copy | None:
        """Keep the answer, if all values it was made of are known: then return it."""
        now = time.time()
        expires = min(now + jittered(made.max_age), observed.expires)
        if not observed.certain or len(observed.marks) > MOST_TAGS or expires <= now:
            return None
        tags, stamp = observed.tags, observed.stamp
        assert stamp is not None
        blob = pack(Frame(stamp, expires, delta, MADE.pack(now) + made.body, tags))
        self._leases.fill([lease], [blob], [expires - now])
        self._tags.put(key, tags)
        body = trimmed(made.body)
        value = body, made.digest or digest_of(body), now
        copy = Copy(stamp, expires, delta, value, len(body), tags)
        self._local.put(key, copy, now)
        return copy
