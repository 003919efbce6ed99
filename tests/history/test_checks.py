"""The checker of histories: one planted violation of each kind is found, and what is allowed is not."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from history.checks import LIMIT, admissions, answers, gaps, jobs, revived_sessions, scores, stale_reads
from history.record import History, Operation

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from history.checks import Violation


def did(
    workload: str, kind: str, subject: str, value: Any, began: float, *, ended: float = 0.0, **more: Any
) -> Operation:
    """An operation; `ended` is a moment after `began` unless it is told, and never where the outcome is unknown."""
    unknown = more.get("outcome") == "unknown"
    return Operation(workload, kind, subject, value, began, math.inf if unknown else ended or began + 0.5, **more)


def wrote(value: int, began: float, **more: Any) -> Operation:
    """A write of a product."""
    return did("catalog", "write", "p", value, began, **more)


def read(value: int, began: float, **more: Any) -> Operation:
    """A read of it."""
    return did("catalog", "read", "p", value, began, **more)


def ended(began: float, **more: Any) -> Operation:
    """The end of a session."""
    return did("sessions", "end", "s", None, began, **more)


def checked(alive: bool, began: float, **more: Any) -> Operation:  # noqa: FBT001 - reads like the answer
    """Whether the session was let in."""
    return did("sessions", "check", "s", alive, began, **more)


def sent(key: str, began: float, **more: Any) -> Operation:
    """A score of 5."""
    return did("boards", "submit", "a", (key, 5), began, **more)


def total(value: int, began: float, kind: str = "final") -> Operation:
    """What the board says."""
    return did("boards", kind, "a", value, began)


def followed(product: str = "p") -> Operation:
    """The beginning of a subscription."""
    return did("subscriptions", "follow", product, None, 0, client="c")


def event(cursor: str, began: float, product: str = "p", *, gap: bool = False) -> Operation:
    """One event."""
    return did("subscriptions", "event", product, (cursor, gap, product), began, client="c")


def changed(began: float, **more: Any) -> Operation:
    """A write that is an event."""
    return did("subscriptions", "write", "p", began, began, **more)


def asked(began: float, *, passed: bool = True, **more: Any) -> Operation:
    """One operation of an address."""
    return did("limits", "ask", "a", passed, began, **more)


def queued(**more: Any) -> Operation:
    """A job that was accepted."""
    return did("jobs", "queue", "j", None, 0, **more)


def state(value: str, began: float, kind: str = "state") -> Operation:
    """What a job is."""
    return did("jobs", kind, "j", value, began)


FOUND: dict[str, tuple[Callable[[History], list[Violation]], list[Operation]]] = {
    "stale read": (stale_reads, [wrote(1, 0), wrote(2, 1), read(1, 3)]),
    "stale read, of what another had seen": (
        stale_reads,
        [wrote(1, 0), wrote(2, 1, outcome="unknown"), read(2, 2), read(1, 3)],
    ),
    "stale read, of what was gone for long": (stale_reads, [wrote(n, n) for n in range(9)] + [read(3, 20)]),
    "read of nothing": (stale_reads, [wrote(1, 0), read(7, 3)]),
    "read of nothing, before it was written": (stale_reads, [wrote(1, 0), read(2, 3), wrote(2, 9)]),
    "revived session": (revived_sessions, [checked(alive=True, began=0), ended(1), checked(alive=True, began=3)]),
    "revived session, after a denial": (
        revived_sessions,
        [ended(1, outcome="unknown"), checked(alive=False, began=3), checked(alive=True, began=9)],
    ),
    "lost score": (scores, [sent("k", 0), sent("l", 1), total(5, 9)]),
    "doubled score": (scores, [sent("k", 0), sent("k", 1), total(10, 9)]),
    "doubled score, seen on the way": (scores, [sent("k", 0), total(10, 2, "total"), sent("l", 5), total(10, 9)]),
    "undetected gap": (gaps, [followed(), changed(1), event("1", 2), changed(3), changed(4), event("3", 5)]),
    "undetected gap, of all events": (gaps, [followed(), changed(1)]),
    "doubled event": (gaps, [followed(), changed(1), event("1", 2), event("1", 3)]),
    "over-admission": (admissions, [asked(n, ended=n + 0.1) for n in range(LIMIT + 1)]),
    "over-admission, across two minutes": (
        admissions,
        [asked(50 + n / 10, ended=50.01 + n / 10) for n in range(LIMIT)] + [asked(100)],
    ),
    "over-admission, of more than a share": (
        lambda history: admissions(history, apart=7),
        [asked(n / 10) for n in range(LIMIT + 8)],
    ),
    "lost job": (jobs, [queued(), state("QUEUED", 1), state("QUEUED", 99, "final")]),
    "lost job, of which nobody knows": (jobs, [queued()]),
    "lost job, which failed": (jobs, [queued(), state("FAILED", 99, "final")]),
    "lost job, after Redis was emptied": (
        lambda history: jobs(history, emptied=True),
        [did("all", "fault", "FLUSHALL", None, -5), queued(), state("GONE", 99, "final")],
    ),
    "lost job, which is there": (
        lambda history: jobs(history, emptied=True),
        [did("all", "fault", "FLUSHALL", None, 5), queued(), state("QUEUED", 99, "final")],
    ),
    "doubled job": (jobs, [queued(), state("SUCCEEDED", 1), state("RUNNING", 3), state("SUCCEEDED", 9, "final")]),
    "improper answer": (answers, [did("catalog", "improper", "p", "500 INTERNAL", 1)]),
}

ALLOWED: dict[str, tuple[Callable[[History], list[Violation]], list[Operation]]] = {
    "an old value, while a write is under way": (
        stale_reads,
        [wrote(1, 0), wrote(2, 1, ended=5), read(1, 3), read(2, 4)],
    ),
    "a value that came late": (
        stale_reads,
        [wrote(1, 0), wrote(2, 1, outcome="unknown"), wrote(3, 2), read(3, 3), read(2, 4)],
    ),
    "a write that was refused": (stale_reads, [wrote(1, 0), wrote(2, 1, outcome="refused"), read(1, 3)]),
    "a read that was refused": (stale_reads, [wrote(1, 0), wrote(2, 1), read(1, 3, outcome="refused")]),
    "a session while it is being ended": (revived_sessions, [ended(1, ended=9), checked(alive=True, began=3)]),
    "a session whose end is unknown": (revived_sessions, [ended(1, outcome="unknown"), checked(alive=True, began=3)]),
    "a session whose end was refused": (
        revived_sessions,
        [ended(1, outcome="refused"), checked(alive=False, began=3), checked(alive=True, began=5)],
    ),
    "a lost session": (revived_sessions, [checked(alive=True, began=0), checked(alive=False, began=3)]),
    "a score that is unknown": (scores, [sent("k", 0), sent("l", 1, outcome="unknown"), total(5, 9), total(10, 9)]),
    "a score that is not told yet": (scores, [sent("k", 0), total(0, 1, "total"), total(5, 9)]),
    "a gap that was told": (gaps, [followed(), changed(1), changed(3), changed(4), event("3", 5, gap=True)]),
    "an event of a write that is unknown": (gaps, [followed(), changed(1, outcome="unknown"), event("1", 2)]),
    "the limit": (admissions, [asked(n / 10) for n in range(LIMIT)] + [asked(9, passed=False), asked(100)]),
    "what may have been in another window": (
        admissions,
        [asked(0, ended=30)] + [asked(61 + n / 10) for n in range(LIMIT)],
    ),
    "a budget that was lost": (
        lambda history: admissions(history, forgotten=1),
        [asked(n / 10) for n in range(2 * LIMIT)],
    ),
    "a share that was granted apart": (
        lambda history: admissions(history, apart=7),
        [asked(n / 10) for n in range(LIMIT + 7)],
    ),
    "a job": (jobs, [queued(), state("RUNNING", 1), state("SUCCEEDED", 3), state("SUCCEEDED", 9, "final")]),
    "a job that was tried again": (
        jobs,
        [queued(), state("RUNNING", 1), state("QUEUED", 3), state("SUCCEEDED", 9, "final")],
    ),
    "a job that was not accepted": (jobs, [queued(outcome="unknown")]),
    "a job that was removed with all the rest": (
        lambda history: jobs(history, emptied=True),
        [did("all", "fault", "FLUSHALL", None, 5), queued(), state("GONE", 99, "final")],
    ),
    "answers": (answers, [read(1, 0)]),
}


@pytest.mark.parametrize("name", FOUND)
def test_a_planted_violation_is_found(name: str, tmp_path: Path) -> None:
    """Just it, and also after the history was written to a file and read again."""
    check, operations = FOUND[name]
    assert {one.kind for one in check(History(operations))} == {name.partition(",")[0]}
    History(operations).save(tmp_path / "history")
    again = History.load(tmp_path / "history")
    assert [one.kind for one in check(again)] == [one.kind for one in check(History(operations))]


@pytest.mark.parametrize("name", ALLOWED)
def test_what_is_allowed_is_not_found(name: str) -> None:
    """What may have happened in some order is no violation."""
    check, operations = ALLOWED[name]
    assert check(History(operations)) == []


def test_a_violation_is_found_among_much_that_is_well() -> None:
    """The same in a history of thousands of operations."""
    well = [one for value in range(1000) for one in (wrote(value, 2 * value), read(value, 2 * value + 1))]
    assert stale_reads(History(well)) == []
    (found,) = stale_reads(History([*well, read(500, 5000)]))
    assert found.kind == "stale read"
