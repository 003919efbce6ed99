"""What the cache counts, each `graph_cache_…_total`.

`reads` by where the answer came from: `local` (the validated in-process copy), `hit`, `miss`, `held` (a writer was at
work), `direct` (Redis was away). `loads` by why: `miss`, `held`, `direct`, `refresh`. `waits` for another's load.
`errors` by kind: `corrupt` entries, `redis`, `load` (a loader raised), `refresh` (one in the background did).
"""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

_READS = Counter("graph_cache_reads_total", "Values read through the cache, by source.", ["source"])
LOCAL, HIT, MISS, HELD, DIRECT = (_READS.labels(name) for name in ("local", "hit", "miss", "held", "direct"))

LOADS = Counter("graph_cache_loads_total", "Values asked of their loaders, by reason.", ["reason"])
LOAD_SECONDS = Histogram("graph_cache_load_seconds", "How long a loader took.")
WAITS = Counter("graph_cache_waits_total", "Values that another process was seen loading.")
EARLY = Counter("graph_cache_early_refreshes_total", "Values loaded again in the background before they expired.")
STALE = Counter("graph_cache_stale_serves_total", "Values served past their time to live because their loader failed.")
INVALIDATIONS = Counter("graph_cache_invalidations_total", "Tags given a new generation.")
FULL = Counter("graph_cache_full_total", "Entries that were not kept because the room for them was full.")
REFUSED = Counter("graph_cache_refused_writes_total", "Writes refused because their hold could not be placed.")
ERRORS = Counter("graph_cache_errors_total", "What went wrong, by kind.", ["kind"])
CORRUPT, REDIS, LOAD_FAILED, REFRESH_FAILED = (ERRORS.labels(name) for name in ("corrupt", "redis", "load", "refresh"))
WATCHED = Gauge(
    "graph_cache_watched_tags", "Tags whose announcements this process follows.", multiprocess_mode="livesum"
)
ANNOUNCED = Counter("graph_cache_announcements_total", "Announcements of new generations that arrived.")
MISSED = Counter("graph_cache_announcements_missed_total", "Changes found by comparing generations, not announced.")
