"""Looks for broken promises in a history, with nothing but what clients saw.

Each check is a function from a `History` to the `Violation`s of one kind. None of them guesses: where an outcome is
unknown, or two operations overlapped, whatever could have happened is allowed. What is found cannot be explained by any
order of the operations in which each took effect between its beginning and its end.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from history.record import History, Operation


class Violation(NamedTuple):
    """One broken promise: which, of what, and how the history shows it."""

    kind: str
    subject: str
    shown: str


def _by_subject(operations: Iterable[Operation]) -> dict[str, list[Operation]]:
    found: defaultdict[str, list[Operation]] = defaultdict(list)
    for one in operations:
        found[one.subject].append(one)
    return found


def stale_reads(history: History) -> list[Violation]:
    """Find reads that gave a value which had been overwritten before they began.

    Each product has one writer, which writes rising numbers, one after the other. A number counts as written from when
    its write was acknowledged, or a read has seen it.
    """
    found: list[Violation] = []
    reads_of = _by_subject(one for one in history.of("catalog", "read") if one.outcome == "ok")
    for subject, writes in _by_subject(history.of("catalog", "write")).items():
        by_value = {one.value: one for one in writes}
        reads = reads_of.get(subject, [])
        known = {one.value: one.ended for one in writes if one.outcome == "ok"}
        for one in reads:
            known[one.value] = min(known.get(one.value, math.inf), one.ended)
        for one in reads:
            wrote = by_value.get(one.value)
            if wrote is None or wrote.began > one.ended:
                found.append(Violation("read of nothing", subject, f"{one.value} was read, which nobody had written"))
                continue
            if wrote.outcome == "unknown":
                continue  # it may still be on its way
            newer = [value for value, at in known.items() if value > one.value and at < one.began]
            if newer:
                shown = (
                    f"{one.value} was read at {one.began:.3f} from server {one.server}, {max(newer)} was there before"
                )
                found.append(Violation("stale read", subject, shown))
    return found


def revived_sessions(history: History) -> list[Violation]:
    """Find sessions that were let in after their end had been acknowledged, or had been seen."""
    found: list[Violation] = []
    checks_of = _by_subject(one for one in history.of("sessions", "check") if one.outcome == "ok")
    for subject, ends in _by_subject(history.of("sessions", "end")).items():
        checks = checks_of.get(subject, [])
        asked = min(one.began for one in ends if one.outcome != "refused") if _any_ran(ends) else math.inf
        over = min((one.ended for one in ends if one.outcome == "ok"), default=math.inf)
        seen = min((one.ended for one in checks if one.value is False and one.began > asked), default=math.inf)
        found += [
            Violation("revived session", subject, f"let in at {one.began:.3f}, ended at {min(over, seen):.3f}")
            for one in checks
            if one.value is True and one.began > min(over, seen)
        ]
    return found


def _any_ran(operations: Iterable[Operation]) -> bool:
    return any(one.outcome != "refused" for one in operations)


def scores(history: History) -> list[Violation]:
    """Find scores that were lost or counted twice.

    Each submission is worth its value, and sent again under its key until it is acknowledged. `total` operations are
    reads of the sum: it is never more than what was sent by their end, and those of kind `final`, which are made when
    everything is well again, are no less than what was acknowledged.
    """
    found: list[Violation] = []
    totals_of = _by_subject(one for one in history.of("boards", "total", "final") if one.outcome == "ok")
    for subject, submissions in _by_subject(history.of("boards", "submit")).items():
        sent: dict[str, tuple[float, float]] = {}
        acknowledged: dict[str, float] = {}
        for one in submissions:
            key, worth = one.value
            if one.outcome != "refused":
                sent[key] = (min(one.began, sent.get(key, (math.inf, 0))[0]), worth)
            if one.outcome == "ok":
                acknowledged[key] = worth
        for total in totals_of.get(subject, []):
            most = sum(worth for began, worth in sent.values() if began < total.ended)
            least = sum(acknowledged.values())
            if total.value > most:
                found.append(Violation("doubled score", subject, f"{total.value} counted, {most} sent"))
            if total.kind == "final" and total.value < least:
                found.append(Violation("lost score", subject, f"{total.value} counted, {least} acknowledged"))
    return found


def gaps(history: History) -> list[Violation]:
    """Find events that a subscriber missed without being told, or got twice.

    A `subscriber` follows products of its own from before the first write until after the last, over any number of
    connections, each resumed after the last cursor. An event's value is its cursor, whether it announced a gap, and
    the product. Every acknowledged write of a product is an event.
    """
    found: list[Violation] = []
    writes_of = _by_subject(one for one in history.of("subscriptions", "write") if one.outcome == "ok")
    by_client: defaultdict[str, list[Operation]] = defaultdict(list)
    for one in history.of("subscriptions", "event", "follow"):
        by_client[one.client].append(one)
    for client, heard in by_client.items():
        events = [one for one in heard if one.kind == "event"]
        cursors = [one.value[0] for one in events]
        found += [
            Violation("doubled event", client, f"cursor {cursor} came twice")
            for cursor in {cursor for cursor in cursors if cursors.count(cursor) > 1}
        ]
        if any(one.value[1] for one in events):
            continue  # it was told
        for product in {one.subject for one in heard if one.kind == "follow"}:
            got = sum(one.subject == product for one in events)
            written = len(writes_of.get(product, []))
            if got < written:
                found.append(Violation("undetected gap", client, f"{got} events of {product}, {written} writes"))
    return found


LIMIT = 20
"""Operations that an address may make in any `WINDOW` seconds: the product's default."""
WINDOW = 60.0


def admissions(history: History, *, forgotten: int = 0, apart: int = 0) -> list[Violation]:
    """Find addresses that were let in more often than the limit allows.

    A budget that Redis lost is there once more (docs/reliability.md), which the caller of this says: `forgotten` times.
    A server that alone is cut off from Redis grants its share, which the others cannot know: `apart` is what that is.
    Only what must have been within one window counts: from the beginning of the first to the end of the last.
    """
    found: list[Violation] = []
    most = LIMIT * (1 + forgotten) + apart
    for subject, asked in _by_subject(history.of("limits", "ask")).items():
        passed = [one for one in asked if one.outcome == "ok" and one.value is True]
        for one in passed:
            within = [other for other in passed if other.began >= one.began and other.ended <= one.began + WINDOW]
            if len(within) > most:
                found.append(Violation("over-admission", subject, f"{len(within)} within {WINDOW:.0f} s"))
                break
    return found


def jobs(history: History, *, emptied: bool = False) -> list[Violation]:
    """Find accepted jobs that never ended well, and jobs that ran again after they had.

    With `emptied` the fault removed everything from Redis, the queue as well: a job that was accepted before the fault
    was over may be gone. It may not be there and never end.
    """
    found: list[Violation] = []
    over = max((one.ended for one in history.of("all", "fault")), default=-math.inf) if emptied else -math.inf
    states_of = _by_subject(one for one in history.of("jobs", "state", "final") if one.outcome == "ok")
    for job in (one for one in history.of("jobs", "queue") if one.outcome == "ok"):
        states = states_of.get(job.subject, [])
        final = [one.value for one in states if one.kind == "final"]
        if final != ["SUCCEEDED"] and not (final == ["GONE"] and job.began < over):
            found.append(Violation("lost job", job.subject, f"it was accepted, and in the end it is {final}"))
        done = min((one.ended for one in states if one.value == "SUCCEEDED"), default=math.inf)
        again = [one for one in states if one.began > done and one.value not in ("SUCCEEDED", "GONE")]
        if again:
            found.append(Violation("doubled job", job.subject, f"{again[0].value} after it had succeeded"))
    return found


def answers(history: History) -> list[Violation]:
    """Find answers that no client should ever get: an internal error, or what is no answer of GraphQL."""
    return [
        Violation("improper answer", one.subject, str(one.value)[:300])
        for one in history.operations
        if one.kind == "improper"
    ]


CHECKS: dict[str, Callable[[History], list[Violation]]] = {
    "catalog": stale_reads,
    "sessions": revived_sessions,
    "boards": scores,
    "subscriptions": gaps,
    "limits": admissions,
    "jobs": jobs,
}
"""What is looked for in each workload; `answers` goes for all of them."""
