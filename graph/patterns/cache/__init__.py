"""A cache that never serves a value older than an acknowledged write, and loads each value once per expiry.

`Cache` reads JSON values through Redis and invalidates them on writes. `ByteCache` keeps whole answers under the same
tags; `observing` records which cached values an answer was made of. Both compare an entry with the `Generations` of
its tags at every use. `TagWatch` tells whoever follows an answer that it may have changed. Without Redis everything is
loaded from its source and nothing is kept.
"""

from graph.patterns.cache.answers import ByteCache
from graph.patterns.cache.codec import JsonCodec
from graph.patterns.cache.entries import Hit, Look, Made, digest_of
from graph.patterns.cache.generations import CacheWriteRefused, CacheWriteUnconfirmed, Generations
from graph.patterns.cache.lease import Granted
from graph.patterns.cache.local_copies import Copy, trimmed
from graph.patterns.cache.narrowing import get_narrowly, narrow
from graph.patterns.cache.observation import Observation, current_observation, noted, observing
from graph.patterns.cache.values import Cache
from graph.patterns.cache.watch import TagWatch, Watched

__all__ = [
    "ByteCache",
    "Cache",
    "CacheWriteRefused",
    "CacheWriteUnconfirmed",
    "Copy",
    "Generations",
    "Granted",
    "Hit",
    "JsonCodec",
    "Look",
    "Made",
    "Observation",
    "TagWatch",
    "Watched",
    "current_observation",
    "digest_of",
    "get_narrowly",
    "narrow",
    "noted",
    "observing",
    "trimmed",
]
