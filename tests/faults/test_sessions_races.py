"""Races of login, check and logout everywhere over four processes: what was ended stays ended."""

from __future__ import annotations

import asyncio
import json
import sys
from bisect import bisect_left, bisect_right
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

import pytest

from graph.patterns.sessions import Sessions

if TYPE_CHECKING:
    from graph.patterns.client import Client
    from harness.valkey import ValkeyServer

PROCESSES = 4


class Seen(NamedTuple):
    """One operation of one process; see `tests.support.processes.session_racer`."""

    kind: str
    user: str
    session: str
    start: float
    end: float
    ok: bool


async def race(url: str, operations: int) -> list[Seen]:
    """Let the processes loose on the same users and collect what they saw."""
    running = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.support.processes.session_racer", url, str(seed), str(operations)),
            stdout=asyncio.subprocess.PIPE,
        )
        for seed in range(PROCESSES)
    ]
    seen: list[Seen] = []
    for process in running:
        output, _ = await process.communicate()
        assert process.returncode == 0
        seen += [Seen(*json.loads(line)) for line in output.splitlines()]
    return seen


class History:
    """The revocations of one user, by time."""

    def __init__(self, revocations: list[Seen]) -> None:
        self.by_start = sorted(revocations, key=lambda one: one.start)
        self.starts = [one.start for one in self.by_start]
        self.first_ack_from = [one.end for one in self.by_start]
        for i in range(len(self.by_start) - 2, -1, -1):  # the earliest acknowledgement among this and all later ones
            self.first_ack_from[i] = min(self.first_ack_from[i], self.first_ack_from[i + 1])

    def ended_by(self, moment: float) -> float:
        """When the first revocation that began after `moment` was acknowledged; infinite without one."""
        place = bisect_right(self.starts, moment)
        return self.first_ack_from[place] if place < len(self.starts) else float("inf")

    def overlaps(self, one: Seen) -> bool:
        """Whether a revocation was under way during the operation."""
        return any(revoked.end > one.start for revoked in self.by_start[: bisect_left(self.starts, one.end)])


@pytest.mark.heavy
async def test_no_request_is_let_in_after_an_acknowledged_revocation(client: Client, valkey: ValkeyServer) -> None:
    """No check that begins after the answer to a logout passes for a login whose credentials are older than it."""
    wanted = 10_000
    races = 0
    logins = refused = 0
    while races < wanted:
        await client.execute("FLUSHALL", retry=False)
        seen = await race(valkey.url, 6_000)
        revocations: dict[str, list[Seen]] = defaultdict(list)
        for one in seen:
            if one.kind == "revoke":
                revocations[one.user].append(one)
        histories = {user: History(found) for user, found in revocations.items()}
        born = {one.session: one for one in seen if one.kind == "login" and one.ok}
        for one in seen:
            history = histories.get(one.user)
            if history is None or one.kind == "revoke":
                continue
            races += history.overlaps(one)
            logins += one.kind == "login"
            refused += one.kind == "login" and not one.ok
            if one.kind == "touch" and one.ok:
                assert one.start < history.ended_by(born[one.session].start), (one, born[one.session])
        for user, history in histories.items():
            for session in await Sessions(client).list(user):
                assert history.ended_by(born[session.id].start) == float("inf"), (session, born[session.id])
    assert 0 < refused < logins
