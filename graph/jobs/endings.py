"""How an attempt at a job ends: it succeeded, it failed for good, or the job is tried again.

What a job raises is its failure, of which it has a few. That something it cannot do without is away (`Unavailable`) is
not: it waits, however long that takes, and is tried again every few seconds.
"""

from __future__ import annotations

import logging
import random
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graph.errors import Unavailable
from graph.jobs.records import JobState
from graph.jobs.work import GiveUp

if TYPE_CHECKING:
    from graph.jobs.work import Definition

MAX_BACKOFF = 300.0
"""Seconds that no pause between two attempts exceeds."""
AWAY = 3.0
"""Seconds between two attempts while something is away."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class End:
    """How an attempt ended; `counts` says whether it was one of those that a job has."""

    state: JobState
    error: str = ""
    trace: str = ""
    delay: float = 0.0
    counts: bool = True


SUCCEEDED = End(JobState.SUCCEEDED)
OUTCOMES = {JobState.SUCCEEDED: "succeeded", JobState.FAILED: "failed", JobState.QUEUED: "retried"}
"""What metrics call each."""


def failure(definition: Definition, job: str, error: Exception, left: int, failures: int) -> End:
    """Return how an attempt that raised `error` ends, with `left` retries left after `failures`."""
    message = f"no end after {definition.timeout:g} s" if isinstance(error, TimeoutError) else str(error)
    message = message or type(error).__name__
    trace = "".join(traceback.format_exception(error))
    counts = not isinstance(error, Unavailable)
    if counts and (left <= 0 or isinstance(error, GiveUp)):
        logger.error("job %s %s: %s; set aside", definition.name, job, message)
        return End(JobState.FAILED, message, trace)
    pause = min(MAX_BACKOFF, 2.0**failures) if counts else AWAY
    delay = pause * random.uniform(0.5, 1)  # noqa: S311 - jitter, not a secret
    level = logging.WARNING if counts else logging.DEBUG  # who is away is told by whoever noticed it
    logger.log(level, "job %s %s: %s; again in %.1f s", definition.name, job, message, delay)
    return End(JobState.QUEUED, message, trace, delay, counts=counts)
