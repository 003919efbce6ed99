"""Sessions against a small Python model: whatever is done in whatever order, both agree on who is signed in."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from graph.patterns.client import Client, command, open_client
from graph.patterns.sessions import EpochMoved, Sessions
from tests.support.engines.ageing import age_sessions

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.valkey import ValkeyServer

SLIDING, ABSOLUTE, ROOM, ACCURACY = 1000, 3000, 3, 60
REMEMBERED = 3600  # seconds for which a revocation is known to logins that began before it
USERS = st.sampled_from(["a", "b"])
WHICH = st.integers(0, 9)


@dataclass
class Known:
    """What the model knows of a session: all times are seconds of the model's clock."""

    user: str
    token: str
    id: str
    created: int
    last: int

    def lives(self, now: int) -> bool:
        """Whether neither limit is reached."""
        return now < min(self.last + SLIDING, self.created + ABSOLUTE)


@dataclass
class Model:
    """Sessions in the order of their last noted use, how often each user was revoked, and the time."""

    now: int = 0
    alive: list[Known] = field(default_factory=list[Known])
    dead: list[Known] = field(default_factory=list[Known])
    revocations: dict[str, int] = field(default_factory=lambda: {"a": 0, "b": 0})
    revoked_at: dict[str, int] = field(default_factory=dict[str, int])

    def forgotten(self, user: str) -> bool:
        """Whether the last revocation is so long ago that no login can have begun before it."""
        return self.now - self.revoked_at.get(user, self.now) >= REMEMBERED

    def of(self, user: str) -> list[Known]:
        """The living sessions of `user`, the least recently used first."""
        return [known for known in self.alive if known.user == user]

    def end(self, ended: list[Known]) -> None:
        """Bury them."""
        self.alive = [known for known in self.alive if known not in ended]
        self.dead += ended


class SessionMachine(RuleBasedStateMachine):
    """The rules. Time is moved by ageing what is stored; its steps are far longer than an example runs."""

    url: str
    client: Client
    sessions: Sessions

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.model = Model()
        self.logins: list[tuple[str, str, int]] = []

    def run(self, coroutine: Any) -> Any:
        """Run one step on the loop that the client lives on."""
        return self.runner.run(coroutine)

    @initialize()
    def begin(self) -> None:
        """Start with an empty server."""

        async def begin() -> None:
            self.client = await self.stack.enter_async_context(open_client(self.url))
            await self.client.execute("FLUSHALL", retry=False)
            self.sessions = Sessions(
                self.client, sliding=SLIDING, absolute=ABSOLUTE, max_per_user=ROOM, accuracy=ACCURACY
            )

        self.run(begin())

    def teardown(self) -> None:
        """Leave nothing open."""
        self.run(self.stack.aclose())
        self.runner.close()

    def admit(self, user: str, token: str, session_id: str) -> None:
        """Note a new session and bury whom it displaced."""
        mine = self.model.of(user)
        self.model.end(mine[: max(0, len(mine) - ROOM + 1)])
        now = self.model.now
        self.model.alive.append(Known(user, token, session_id, now, now))

    @rule(user=USERS)
    def create(self, user: str) -> None:
        """A session whose credentials need no check."""
        token, session = self.run(self.sessions.create(user))
        self.admit(user, token, session.id)

    @rule(user=USERS)
    def start_login(self, user: str) -> None:
        """The first half of a login: what is checked is as of now."""
        self.logins.append((user, self.run(self.sessions.epoch(user)), self.model.revocations[user]))

    @rule(which=WHICH)
    def finish_login(self, which: int) -> None:
        """The second half: it succeeds exactly when nothing of the user was revoked in between."""
        if not self.logins:
            return
        user, epoch, seen = self.logins.pop(which % len(self.logins))
        try:
            token, session = self.run(self.sessions.create(user, epoch=epoch))
        except EpochMoved:
            assert seen != self.model.revocations[user] or self.model.forgotten(user)
        else:
            assert seen == self.model.revocations[user] or self.model.forgotten(user)
            self.admit(user, token, session.id)

    @rule(which=WHICH)
    def touch(self, which: int) -> None:
        """A living session answers with the noted time, which moves once a minute."""
        if not self.model.alive:
            return
        known = self.model.alive[which % len(self.model.alive)]
        session = self.run(self.sessions.touch(known.token))
        assert session is not None
        assert session.id == known.id
        if self.model.now - known.last >= ACCURACY:
            known.last = self.model.now
            self.model.alive.remove(known)
            self.model.alive.append(known)

    @rule()
    def touch_the_dead(self) -> None:
        """No ended session ever answers again."""
        for known in self.model.dead:
            assert self.run(self.sessions.touch(known.token)) is None

    @rule(user=USERS, which=WHICH)
    def revoke(self, user: str, which: int) -> None:
        """Ending any session, dead or alive, one's own or not, ends only one's own living one."""
        everyone = self.model.alive + self.model.dead
        if not everyone:
            return
        known = everyone[which % len(everyone)]
        mine = known in self.model.of(user)
        assert self.run(self.sessions.revoke(user, known.id)) == mine
        self.model.revocations[user] += 1
        self.model.revoked_at[user] = self.model.now
        if mine:
            self.model.end([known])

    @rule(user=USERS, keep=st.none() | WHICH)
    def revoke_all(self, user: str, keep: int | None) -> None:
        """All sessions of the user end but the one to keep."""
        mine = self.model.of(user)
        spared = mine[keep % len(mine)] if keep is not None and mine else None
        ended = [known for known in mine if known is not spared]
        assert self.run(self.sessions.revoke_all(user, keep=spared.id if spared else None)) == len(ended)
        self.model.revocations[user] += 1
        self.model.revoked_at[user] = self.model.now
        self.model.end(ended)

    @rule(seconds=st.sampled_from([20, 40, 60, 300, 940, 1000]))
    def wait(self, seconds: int) -> None:
        """Time passes."""
        self.run(age_sessions(self.client, seconds))
        self.model.now += seconds
        self.model.end([known for known in self.model.alive if not known.lives(self.model.now)])

    @invariant()
    def lists_agree(self) -> None:
        """The list of each user is the model's, the most recently used first."""
        for user in ("a", "b"):
            listed = [session.id for session in self.run(self.sessions.list(user))]
            assert listed == [known.id for known in reversed(self.model.of(user))]

    @invariant()
    def keys_agree(self) -> None:
        """The key of a session exists exactly as long as the session lives."""

        async def exist() -> list[int]:
            known = self.model.alive + self.model.dead
            return list(
                await self.client.batch(*(command("EXISTS", str(self.sessions.session_key(k.token))) for k in known))
            )

        if self.model.alive or self.model.dead:
            assert self.run(exist()) == [1] * len(self.model.alive) + [0] * len(self.model.dead)


def test_sessions_agree_with_the_model(valkey: ValkeyServer, scaled: Callable[[int, int], int]) -> None:
    """Begin, check, list, end, wait: in every order tried the server and the model agree on every session."""

    class Machine(SessionMachine):
        url = valkey.url

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=scaled(300, 10),
            stateful_step_count=40,
            deadline=None,
            database=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
