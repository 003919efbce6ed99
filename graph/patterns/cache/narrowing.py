"""Lets a result depend on what a value shows, in place of everything that might have changed the value.

Which tags cover a list is known before it is read only roughly: any change of any product might concern it. What it
shows is known afterwards. `get_narrowly` reads a value under the rough tags, and has the result that is being made of
it (`Observation`) depend on the narrow ones, provided that nothing happened under the rough tags meanwhile. The value
itself stays cached under the rough ones.

Guarantee: a result is outdated by every write that changes the value, as long as each such write invalidates, in one
bracket (`Generations.invalidating`), a rough tag *and* a narrow one. Such a writer places all its holds before it
commits. The narrow marks are read after the value, and the rough ones after them: if those still are what they were
before the value was read, no writer had all its holds in place by then, so what any of them commits comes later, and
its new generation of the narrow tag does, too. A tag that is on both sides counts as it was before the value was read.

Where the narrow marks were read before the value was, they count as they were then, whatever happens under the rough
tags: as those of an answer that is made anew and shows what it showed before. (Not in a cluster, where marks that came
with the lease may be newer than those by which a copy of the value was found current.) Where something did happen under
the rough tags, the value of a result that has been handed out is loaded once more after the narrow marks; if it is the
same, they stand. Otherwise nothing would be kept while others write all the time.

What does not come through the cache is covered by tags that its field declares. `narrow` lets the result depend on the
tags of what was read in place of a declared one, if all that was read under it says so. Whoever writes such a thing
without a bracket, because it has happened already, gives the declared tag its new generation first and the narrow ones
theirs then (`Generations.invalidate`): who finds a narrow mark of after the write finds the declared one changed.

Failure: where that is not so, or Redis does not answer, the result depends on the rough tags, as ever.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from graph.patterns.cache import metrics
from graph.patterns.cache.observation import Narrowing, Observation, current_observation, free_marks, observing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from graph.patterns.cache.generations import Generations, Mark
    from graph.patterns.cache.values import Cache

MOST = 64
"""A result that shows more than this depends on the rough tags: comparing that many marks at each use costs more."""
_DEADLINE = 1.0  # seconds for Redis to tell the marks


async def get_narrowly(
    cache: Cache,
    key: str,
    load: Callable[[], Awaitable[Any]],
    *,
    tags: Sequence[str],
    narrow: Callable[[Any], Sequence[str]],
    ttl: float = 300.0,
    exact: bool = False,
) -> Any:
    """Do `Cache.get`; the result that is being made depends on the tags that `narrow` names for the value."""
    observed = current_observation()
    if observed is None:
        return await cache.get(key, load, tags=tags, ttl=ttl, exact=exact)
    with observing(part_of=observed) as own:
        value = await cache.get(key, load, tags=tags, ttl=ttl, exact=exact)
    narrowing = Narrowing(narrow(value), own, ttl, value, load)
    if observed.lease is not None:
        observed.lease.narrowings.append(narrowing)
    else:
        await _narrow(observed, cache.generations, narrowing, None)
    return value


def narrow(declared: str, tags: Iterable[str] | None) -> None:
    """Say of something just read under the tag `declared` that it changes under `tags` alone; None: they are not known.

    Each read under the tag has to call this. A result is narrowed once it has been handed out (`finish`).
    """
    if (observed := current_observation()) is not None:
        observed.narrow(declared, tags)


async def finish(observed: Observation, generations: Generations) -> None:
    """Narrow what a result depends on, as its parts asked for; to be called once it has been handed out."""
    if observed.lease is not None:
        before: Mapping[str, Mark] = {} if generations.clustered else observed.lease.foreseen
        for narrowing in observed.lease.narrowings:
            await _narrow(observed, generations, narrowing, before)
    for declared, tags in observed.narrowed.items():
        if tags is not None and declared in observed.marks:
            rough = Observation()
            rough.note([declared], [observed.marks.pop(declared)])
            await _narrow(observed, generations, Narrowing(sorted(tags), rough, 0), None)


async def _narrow(
    observed: Observation, generations: Generations, narrowing: Narrowing, before: Mapping[str, Mark] | None
) -> None:
    """Have a result depend on narrow tags, if they may stand for the rough ones.

    Those `before` were read before the value was. None: nothing may take long.
    """
    marks: Mapping[str, bytes] | None = None
    own = narrowing.rough
    if len(narrowing.tags) <= MOST and not own.untagged and not own.away:
        marks = _known(narrowing.tags, before or {})
        try:
            async with asyncio.timeout(_DEADLINE):
                if marks is None and own.certain and own.marks:
                    marks = await _unmoved(generations, narrowing)
                if marks is None and before is not None and narrowing.load is not None:
                    marks = await _reloaded(generations, narrowing)
        except (RedisError, TimeoutError):
            metrics.REDIS.inc()
    if marks is None:
        observed.add(own)
    else:
        observed.note(list(marks), list(marks.values()), own.expires)


def _known(tags: Iterable[str], marks: Mapping[str, Mark]) -> dict[str, bytes] | None:
    """The marks of all of `tags`; None if one of them is missing, or a writer is at work on it."""
    known = free_marks(tags, marks)
    return known if len(known) == len(set(tags)) else None


async def _unmoved(generations: Generations, narrowing: Narrowing) -> dict[str, bytes] | None:
    """The marks of the narrow tags as they are now, if nothing happened under the rough ones."""
    own = narrowing.rough.marks
    rough = [tag for tag in own if tag not in narrowing.tags]
    found = await generations.read([tag for tag in narrowing.tags if tag not in own], rough, narrowing.ttl)
    if any(found[tag] != own[tag] for tag in rough):
        return None
    return _known(narrowing.tags, own | found)


async def _reloaded(generations: Generations, narrowing: Narrowing) -> dict[str, bytes] | None:
    """The marks of the narrow tags as they are now, if the value that is loaded after them is the same."""
    assert narrowing.load is not None
    marks = _known(narrowing.tags, await generations.read(narrowing.tags, (), narrowing.ttl))
    if marks is None:
        return None
    try:
        with observing():
            again = await narrowing.load()
    except Exception:  # noqa: BLE001 - the result is there, whatever the loader raises now
        return None
    return marks if again == narrowing.value else None
