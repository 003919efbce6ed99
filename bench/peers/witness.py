"""Checks a server's answers against SQL, while it is under load and afterwards.

A read is asked between two reads of SQL: the answer must be one of both. Others may change the same rows meanwhile, and
what is in SQL may not have been acknowledged yet. So an answer that is neither is asked for again for `PATIENCE`
seconds; what stays wrong for that long is wrong. A write of the witness' own must be in SQL when it is answered.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from typing import TYPE_CHECKING, Any

import httpx

from bench.peers.mixture import Ask, ask, global_id, score_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.peers.contenders import Running
    from bench.peers.crowd import Crowd
    from bench.peers.mixture import Sender, Truth

PATIENCE = 5.0


class Witness:
    """Checks one server."""

    def __init__(self, running: Running, crowd: Crowd, truth: Truth) -> None:
        """Ask `running`, whose database `truth` reads."""
        self.checked = 0
        self.late = 0
        """Answers that were right only when they were asked for again."""
        self.wrong: list[str] = []
        self._running = running
        self._crowd = crowd
        self._truth = truth
        self._client = httpx.AsyncClient(timeout=60)
        self._written = itertools.count(1)
        self._plan = self._requests()

    def _requests(self) -> Iterator[tuple[Sender, Ask]]:
        # Every 97th of the plan: not the requests that wrk sends at this moment, but as many of each kind.
        while True:
            yield from itertools.islice(self._crowd.mixture.requests(), 0, None, 97)

    async def watch(self, pause: float) -> None:
        """Check an answer every `pause` seconds, until cancelled."""
        while True:
            began = time.monotonic()
            await self.check(*next(self._plan))
            await asyncio.sleep(max(0.001, began + pause - time.monotonic()))

    async def more(self, wanted: int) -> None:
        """Check until so many are."""
        while self.checked < wanted:
            await self.check(*next(self._plan))

    async def check(self, sender: Sender, asked: Ask) -> None:
        """Check the answer to one request."""
        if asked.kind == "score":
            await self._check_score()
        elif asked.kind == "price":
            await self._check_price()
        else:
            await self._check_read(sender, asked)
        self.checked += 1

    async def _check_read(self, sender: Sender, asked: Ask) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            before = await self._truth.answers(asked, sender.player)
            answer = await self.ask(asked.body, sender)
            after = await self._truth.answers(asked, sender.player)
            if answer in ({"data": before}, {"data": after}):
                return
            if time.monotonic() > deadline:
                self.wrong.append(f"{asked.body} by {sender.player}: {answer} where SQL has {after}")
                return
            self.late += 1

    async def _check_score(self) -> None:
        witness = self._crowd.witness
        score = score_of(witness.player) + next(self._written)
        body = ask("score", None, json.dumps({"score": score})).body
        answer = await self.ask(body, witness)
        expected = {"submitScore": {"__typename": "ScoreSubmitted", "score": score, "improved": True}}
        self._note(body, answer, expected, is_kept=await self._truth.score(witness.player) == score)

    async def _check_price(self) -> None:
        hidden = self._crowd.hidden
        amount, number = f"{next(self._written) % 90_000 / 100 + 100:.2f}", global_id("Product", hidden)
        body = ask("price", None, json.dumps({"id": number, "amount": amount})).body
        answer = await self.ask(body, self._crowd.admin)
        product = {"__typename": "Product", "id": number, "price": {"amount": amount, "currency": "USD"}}
        is_kept = await self._truth.price(hidden) == amount
        self._note(body, answer, {"updateProduct": product}, is_kept=is_kept)

    def _note(self, body: str, answer: Any, expected: Any, *, is_kept: bool) -> None:
        if answer != {"data": expected} or not is_kept:
            self.wrong.append(f"{body}: {answer}, not {expected}" + ("" if is_kept else ", and SQL does not have it"))

    async def ask(self, body: str, sender: Sender) -> Any:
        """The JSON that it answers; AssertionError for another status than 200."""
        headers = {"content-type": "application/json", "accept": "application/json"}
        headers |= dict(line.split(": ", 1) for line in sender.lines.split("\t"))
        answer = await self._client.post(self._running.url, content=body, headers=headers)
        title = self._running.contender.title
        assert answer.status_code == 200, f"{title}: {answer.status_code} {answer.text[:500]}"
        return answer.json()

    async def close(self) -> None:
        """End the connections."""
        await self._client.aclose()
