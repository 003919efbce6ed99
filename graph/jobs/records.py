"""The record of a job, and the keys in Redis.

All keys share one hash tag, so that queueing, finishing and discarding are one script each. The queue, the jobs to
retry, the index, and the records and unique keys of unfinished jobs are durable: an accepted job is never lost before
it is done. Records of succeeded jobs live for a week, of failed ones for a month; the index lists the newest 10,000 of
each, and the records of older ones live for an hour. Entries that were set aside live for a month.
"""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

KEPT_MS = 7 * 86_400_000
"""How long the record of a succeeded job is kept."""
FAILED_KEPT_MS = 30 * 86_400_000
"""How long the record of a failed job is kept, so that somebody can look at it."""
LISTED = 10_000
"""How many succeeded jobs, and how many failed ones, are listed; older ones are dropped."""
UNLISTED_KEPT_MS = 3_600_000
"""How long the record of a finished job is kept after it is not listed any more."""
ASIDE_KEPT = 1000
"""How many entries that are not jobs are kept for inspection."""

DURABLE_KEYS = {
    "{jobs}:queue": "a job that was accepted is delivered, however long no worker runs",
    "{jobs}:due": "a job that failed is tried again, however long no worker runs",
    "{jobs}:index": "it lists the jobs that are not finished, and of the others no more than `LISTED`",
    "{jobs}:failed": "as many as are listed; their records live for a month",
    "{jobs}:succeeded": "as many as are listed; their records live for a week",
    "{jobs}:job:*": "the record of a job that is not finished; it gets its lifetime when the job ends",
    "{jobs}:unique:*": "the job under way for that key; it goes when the job ends",
}
"""Keys without a lifetime, below the prefix, and why they have none."""

EXPIRING_KEYS = {"{jobs}:aside": "entries that are no jobs", "{jobs}:tick:*": "that a scheduled job was queued"}
"""Keys with a TTL, below the prefix, and what they hold."""


class JobState(enum.Enum):
    """The state of a job."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"

    @property
    def finished(self) -> bool:
        """Whether the job is over, unless somebody retries it."""
        return self in (JobState.SUCCEEDED, JobState.FAILED)


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it stands: its `arguments`, `done` of `total` units (None if unknown), an `error` and its `trace`."""

    id: str
    name: str
    state: JobState
    done: int
    total: int | None
    attempt: int
    failures: int
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    error: str | None = None
    trace: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def seconds(self) -> float | None:
        """How long the last attempt took; None while it has not ended, or where it never began."""
        if self.started_at is None or self.finished_at is None:
            return None
        return max(0.0, (self.finished_at - self.started_at).total_seconds())

    @classmethod
    def read(cls, job: str, fields: Mapping[bytes, bytes] | None) -> Job:
        """Read the record of `job` from Redis; a damaged record is returned as a failed job that says so."""
        try:
            return cls._read(fields or {})
        except (KeyError, ValueError):
            return cls(job, "?", JobState.FAILED, 0, None, 0, 0, _instant("0"), error="its record is damaged")

    @classmethod
    def _read(cls, fields: Mapping[bytes, bytes]) -> Job:
        text = {name.decode(): value.decode(errors="replace") for name, value in fields.items()}
        return cls(
            id=text["id"],
            name=text["name"],
            state=JobState(text["state"]),
            done=int(text["done"]),
            total=int(text["total"]) if "total" in text else None,
            attempt=int(text["attempt"]),
            failures=int(text["failures"]),
            created_at=_instant(text["created"]),
            started_at=_instant(text["started"]) if "started" in text else None,
            finished_at=_instant(text["finished"]) if "finished" in text else None,
            error=text.get("error"),
            trace=text.get("trace") or None,
            arguments=json.loads(text.get("arguments") or "{}"),
        )


def _instant(microseconds: str) -> datetime:
    return datetime.fromtimestamp(int(microseconds) / 1_000_000, UTC)


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one job queue, below `prefix`."""

    prefix: str

    def _key(self, rest: str) -> str:
        return f"{self.prefix}:{{jobs}}:{rest}"

    @property
    def queue(self) -> str:
        """Stream of deliveries."""
        return self._key("queue")

    @property
    def due(self) -> str:
        """Sorted set of jobs to retry."""
        return self._key("due")

    @property
    def index(self) -> str:
        """Sorted set of all jobs by creation."""
        return self._key("index")

    @property
    def failed(self) -> str:
        """Sorted set of failed jobs by their end."""
        return self._key("failed")

    @property
    def succeeded(self) -> str:
        """Sorted set of succeeded jobs by their end."""
        return self._key("succeeded")

    @property
    def aside(self) -> str:
        """Stream of entries that were in the queue but are not jobs."""
        return self._key("aside")

    def record(self, job: str) -> str:
        """Return the key of a job's record, a hash."""
        return self._key(f"job:{job}")

    def unique(self, name: str, key: str) -> str:
        """Return the key that holds the id of the unfinished job with the unique key `key`."""
        return self._key(f"unique:{name}:{key}")

    def tick(self, schedule: str, period: int) -> str:
        """Return the key that exists once the scheduled job of this period has been queued."""
        return self._key(f"tick:{schedule}:{period}")
