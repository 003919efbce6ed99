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

Failure: where that is not so, or Redis does not answer, the result depends on the rough tags, as ever.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from graph.patterns.cache import metrics
from graph.patterns.cache.generations import held
from graph.patterns.cache.observation import Narrowing, current_observation, observing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from graph.patterns.cache.generations import Generations, Mark
    from graph.patterns.cache.observation import Observation
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
    narrowing = Narrowing(narrow(value), own, ttl)
    if observed.lease is not None:
        observed.lease.narrowings.append(narrowing)
    else:
        await _narrow(observed, cache.generations, narrowing)
    return value


async def finish(observed: Observation, generations: Generations) -> None:
    """Narrow what a result that was made under a lease depends on; to be called once it has been handed out."""
    if observed.lease is not None:
        for narrowing in observed.lease.narrowings:
            await _narrow(observed, generations, narrowing)


async def _narrow(observed: Observation, generations: Generations, narrowing: Narrowing) -> None:
    marks = await _narrowed(generations, narrowing)
    if marks is None:
        observed.add(narrowing.rough)
    else:
        observed.note(list(marks), list(marks.values()), narrowing.rough.expires)


async def _narrowed(generations: Generations, narrowing: Narrowing) -> dict[str, bytes] | None:
    """The marks of the narrow tags, if they may stand for the rough ones."""
    narrow, own, ttl = narrowing
    if not own.certain or not own.marks or len(narrow) > MOST:
        return None
    rough = [tag for tag in own.marks if tag not in narrow]
    fine = [tag for tag in narrow if tag not in own.marks]
    try:
        async with asyncio.timeout(_DEADLINE):
            found = await generations.read(fine, rough, ttl)
    except (RedisError, TimeoutError):
        metrics.REDIS.inc()
        return None
    if any(found[tag] != own.marks[tag] for tag in rough):
        return None
    marks: dict[str, bytes] = {tag: own.marks[tag] for tag in narrow if tag in own.marks}
    for tag in fine:
        mark: Mark = found[tag]
        if mark is None or held(mark):
            return None
        marks[tag] = mark
    return marks
