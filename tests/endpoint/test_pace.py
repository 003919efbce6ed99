"""Answers that are ready leave the loop to what is executed, and nothing is lost or overtaken."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from graph.endpoint.kept.pace import MOST, Pace


class Answering:
    """Counts the answers of each turn of the loop; each is a number that came in order."""

    def __init__(self, running: int) -> None:
        self.errands = SimpleNamespace(running=running)
        self.pace = Pace(self._answer, cast("Any", self.errands))
        self.answered: list[int] = []
        self.again: list[int] = []

    def _answer(self, ride: Any, replies: Any) -> None:
        assert replies == [ride]
        self.answered.append(ride)
        if self.again:
            self.come(self.again.pop())

    def come(self, *numbers: int) -> None:
        """Replies have come, in one reading of the connection to Redis."""
        for number in numbers:
            self.pace.arrive(cast("Any", number), cast("Any", [number]))

    async def turns(self) -> list[int]:
        """How many are answered in each turn from now on."""
        counts: list[int] = []
        before = -1
        while before != len(self.answered):
            before = len(self.answered)
            await asyncio.sleep(0)
            counts.append(len(self.answered) - before)
        return counts[:-1]


async def test_all_are_answered_at_once_while_nothing_is_executed() -> None:
    """However many there are."""
    site = Answering(0)
    site.come(*range(500))
    assert site.answered == [*range(500)]
    site.pace = Pace(site._answer, None)  # nothing ever is
    site.come(*range(500, 1000))
    assert site.answered == [*range(1000)]


async def test_a_few_are_answered_a_turn_while_something_is() -> None:
    """In the order in which they came, whatever comes meanwhile."""
    site = Answering(1)
    site.come(*range(5 * MOST))
    assert site.answered == [*range(MOST)]
    asyncio.get_running_loop().call_soon(site.come, *range(5 * MOST, 6 * MOST))
    assert await site.turns() == [MOST] * 5
    assert site.answered == [*range(6 * MOST)]
    site.come(-1)
    assert site.answered[-1] == -1


async def test_those_that_wait_go_first_when_nothing_is_executed_any_more() -> None:
    """Nobody overtakes them."""
    site = Answering(1)
    site.come(*range(2 * MOST))
    site.errands.running = 0
    site.come(2 * MOST)
    await site.turns()
    assert site.answered == [*range(2 * MOST + 1)]
    site.come(-1)
    assert site.answered[-1] == -1


async def test_an_answer_may_bring_the_next() -> None:
    """As on a connection on which requests were sent ahead."""
    site = Answering(1)
    site.again = [102, 101, 100]
    site.come(*range(MOST + 5))
    await site.turns()
    assert sorted(site.answered) == [*range(MOST + 5), 100, 101, 102]
