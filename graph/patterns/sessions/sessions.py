"""Begins, checks, lists and ends sessions behind opaque tokens. An ended session never comes back.

A token is ``<user>.<secret>``: the user routes every command to the one hash tag that holds all of that user's
sessions, the secret is 256 bits from the operating system. Redis holds only the token's SHA-256, so that reading the
store lets nobody sign in. A session lives 24 h after its last use and 30 days at most, by the server's clock; its
key exists exactly as long as it is valid, so that any script under the same hash tag can ask for it.

Guarantees:

- Check, begin and end are one script each. A check writes only to a session that exists, so no check that runs late
  brings one back; a login that was under way during a revocation (`EpochMoved`) has to check its credentials again.
- A revocation is acknowledged only once it is on disk, where the server can say so, and nobody is let in from the
  moment it runs. A server that crashed and lost it in between is told again before the acknowledgement.
- With a `ledger` it is written down there before the acknowledgement, in place of the wait for the disk, and a server
  that was restarted or failed over is reminded before it is believed: then it holds whatever the server loses.
- Ending all sessions of a user costs the same whatever the number of other users: the index names them, nothing scans.
- `Session.last_active_at` lags behind the truth by less than `accuracy`; between two notes a check is a pure read. The
  sliding lifetime counts from it, to the millisecond.
- Every key has a TTL. A store short of memory that evicts them ends sessions early, never late.

Failure: every method raises `RedisUnavailable` while Redis is away, `OutcomeUnknown` when a change may have been made.
Repeating a revocation is harmless, and its second acknowledgement is as good as the first. Without a ledger a failover
to a replica that had not received a revocation yet brings the session back.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from prometheus_client import Counter

from graph.patterns.client import RedisUnavailable, Script, command
from graph.patterns.limiter import passage_command
from graph.patterns.sessions.ledger import Revocation
from graph.patterns.sessions.session import (
    EPOCH_LIFETIME_MS,
    Session,
    SessionKeys,
    checked,
    kept,
    public_id,
    session_from,
    token_digest,
    user_of,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from graph.patterns.client import Client, Command, Reply
    from graph.patterns.limiter import Charge
    from graph.patterns.sessions.ledger import Ledger

_MICROSECONDS = 1_000_000
_ATTEMPTS = 5
_LOST = "the server keeps losing what it was told"

_BEGUN = Counter("graph_sessions_begun_total", "Sessions begun.")
_ENDED = Counter("graph_sessions_ended_total", "Sessions ended before they expired: revoked, evicted.", ["reason"])
_REVOKED, _EVICTED = (_ENDED.labels(reason) for reason in ("revoked", "evicted"))

_CREATE = Script(__name__, "create")
_TOUCH = Script(__name__, "touch", idempotent=True)
_REVOKE = Script(__name__, "revoke")
_SEAL = Script(__name__, "seal", idempotent=True)
_LIST = Script(__name__, "list", idempotent=True)


class EpochMoved(Exception):
    """Something of the user was revoked since the epoch was read: what was checked then has to be checked again."""


class Sessions:
    """The sessions of all users."""

    def __init__(
        self,
        client: Client,
        *,
        prefix: str = "graph",
        sliding: float = 86_400.0,
        absolute: float = 30 * 86_400.0,
        max_per_user: int = 20,
        accuracy: float = 60.0,
        announce: Callable[[str, Sequence[str]], Awaitable[None]] | None = None,
        ledger: Ledger | None = None,
    ) -> None:
        """Keep sessions under `prefix`.

        Args:
            client: The Redis client.
            prefix: First part of every key.
            sliding: Seconds that a session lives after its last noted use.
            absolute: Seconds that it lives at most.
            max_per_user: Sessions a user may have; one more ends the least recently used.
            accuracy: Seconds by which `Session.last_active_at` may lag, shorter than `sliding`.
            announce: Told the user and the ids of sessions that were ended, as soon as they are; must not raise.
            ledger: Where revocations are written down as well, for a server that loses them: see `ledger.remind`.
        """
        if not 0 <= accuracy < sliding or absolute <= 0 or max_per_user < 1:
            raise ValueError("sessions need 0 <= accuracy < sliding, absolute > 0 and max_per_user >= 1")
        self._client = client
        self._prefix = prefix
        self._keys = SessionKeys(prefix)
        self._sliding = round(sliding * _MICROSECONDS)
        self._absolute = round(absolute * _MICROSECONDS)
        self._max_per_user = max_per_user
        self._accuracy = round(accuracy * _MICROSECONDS)
        self._announce = announce
        self._ledger = ledger

    # --- keys ---

    def session_key(self, token: str) -> str | None:
        """The key that exists exactly as long as the session of `token`; None for a malformed token."""
        user = user_of(token)
        return None if user is None else self._keys.session(user, token_digest(token))

    def budget_key(self, token: str) -> str | None:
        """The key of the user's rate budget, under the same hash tag; None for a malformed token."""
        user = user_of(token)
        return None if user is None else f"{self._prefix}:budget:{{{user}}}"

    # --- checking ---

    def touch_command(self, token: str) -> Command | None:
        """The command that checks `token` and notes its use, to be sent in a batch; None for a malformed token."""
        user = user_of(token)
        if user is None:
            return None
        digest = token_digest(token)
        keys = [self._keys.session(user, digest), self._keys.index(user)]
        return _TOUCH(keys, [user, digest, self._sliding, self._accuracy])

    def turnstile(self, token: str, charge: Charge) -> Command | None:
        """The command that makes `charge` for a session in use, and nothing else: see `turnstile`.

        None for a malformed token. The charge's key shares the hash tag of `budget_key`.
        """
        user = user_of(token)
        if user is None:
            return None
        digest = token_digest(token)
        guards = [self._keys.session(user, digest), self._keys.index(user)]
        return passage_command(charge, guards=guards, args=[digest, self._accuracy])

    @staticmethod
    def session_of(reply: Reply) -> Session | None:
        """Read the reply of `touch_command`; None: no such session. An exception in the reply's place is raised."""
        if isinstance(reply, Exception):
            raise reply
        return None if reply is None else session_from(reply)

    async def touch(self, token: str) -> Session | None:
        """Check `token` and note its use; None when it is malformed, unknown or ended."""
        touching = self.touch_command(token)
        return None if touching is None else self.session_of(await self._client.send(touching))

    async def list(self, user_id: str) -> list[Session]:
        """The user's sessions, the most recently used first."""
        user = checked(user_id)
        digests = await self._digests(user)
        if not digests:
            return []
        keys = [self._keys.index(user), *(self._keys.session(user, digest) for digest in digests)]
        return [session_from(reply) for reply in await self._client.run(_LIST, keys, [user, self._sliding, *digests])]

    async def _digests(self, user: str) -> list[str]:
        listed: list[bytes] = await self._client.send(command("ZRANGE", self._keys.index(user), 0, -1, "REV"))
        return [digest.decode() for digest in listed]

    # --- beginning ---

    async def epoch(self, user_id: str) -> str:
        """The user's epoch, which every revocation moves: read it before the credentials are looked up."""
        reply: bytes | None = await self._client.execute("GET", self._keys.epoch(checked(user_id)))
        return reply.decode() if reply is not None else ""

    async def create(
        self,
        user_id: str,
        *,
        role: str = "",
        epoch: str | None = None,
        user_agent: str | None = None,
        ip_address: str | None = None,
        token: str | None = None,
    ) -> tuple[str, Session]:
        """Begin a session and give its token, which is not kept.

        Args:
            user_id: 1 to 64 letters, digits, hyphens and underscores; it is readable in the token.
            role: What the session may do; a change of role ends the user's sessions.
            epoch: What `epoch` gave before the credentials were looked up; None when there were none to check.
            user_agent: Told back by `list`; cut at 256 characters.
            ip_address: Told back by `list`.
            token: The token to begin it for, of a credential that outlives sessions; by default a new one.

        Raises:
            EpochMoved: Something of the user was revoked since `epoch`.
            RedisUnavailable: Redis is away. With `OutcomeUnknown` a session may exist whose token nobody has.
        """
        user = checked(user_id)
        token = token if token is not None else f"{user}.{secrets.token_urlsafe(32)}"
        digest = token_digest(token)
        agent, address = kept(user_agent), kept(ip_address)
        expected = await self.epoch(user) if epoch is None else epoch
        known: list[str] = []
        while True:
            keys = [
                self._keys.index(user),
                self._keys.epoch(user),
                *(self._keys.session(user, name) for name in (digest, *known)),
            ]
            reply = await self._client.run(
                _CREATE,
                keys,
                [expected, digest, self._sliding, self._absolute, self._max_per_user, agent, address, role, *known],
            )
            if reply[0] == b"created":
                break
            if reply[0] == b"full":
                known = [name.decode() for name in reply[1:]]
            elif epoch is not None:
                raise EpochMoved
            else:
                expected = await self.epoch(user)
        _BEGUN.inc()
        _, now, expires, *evicted = reply
        if evicted:
            _EVICTED.inc(len(evicted))
            await self._tell(user, [name.decode() for name in evicted])
        return token, session_from([user, digest.encode(), now, now, expires, agent, address, role.encode()])

    # --- ending ---

    async def revoke(self, user_id: str, session_id: str) -> bool:
        """End one session of the user and say whether there was one; see the module for what that promises."""
        user = checked(user_id)
        there = False
        for _ in range(_ATTEMPTS):
            named = [digest for digest in await self._digests(user) if public_id(digest) == session_id]
            if named:  # before it is ended: a call that is repeated afterwards could not find out what to write down
                await self._write_down(Revocation(user, 0, tuple(named)))
            epoch, ended, _ = await self._revoke(user, "these", "", named)
            there = there or bool(ended)
            if await self._seal(user, epoch):
                return there
        raise RedisUnavailable(_LOST)

    async def revoke_all(self, user_id: str, *, keep: str | None = None) -> int:
        """End all sessions of the user except the one whose id is `keep`, and return how many were ended."""
        user = checked(user_id)
        spared = ""
        if keep is not None:
            spared = next((digest for digest in await self._digests(user) if public_id(digest) == keep), "")
        total: set[str] = set()
        for _ in range(_ATTEMPTS):
            epoch, ended, left = await self._revoke(user, "all", spared, [])
            while left:
                epoch, ended, left = await self._revoke(user, "all", spared, left)
                total.update(ended)
            await self._write_down(Revocation(user, int(epoch), everything=True, spared=spared))
            if await self._seal(user, epoch):
                return len(total)
        raise RedisUnavailable(_LOST)

    async def _revoke(
        self, user: str, which: str, spared: str, digests: Sequence[str]
    ) -> tuple[str, Sequence[str], Sequence[str]]:
        keys = [
            self._keys.index(user),
            self._keys.epoch(user),
            *(self._keys.session(user, digest) for digest in digests),
        ]
        reply = await self._client.run(_REVOKE, keys, [EPOCH_LIFETIME_MS, which, spared, *digests])
        ended, left = ([name.decode() for name in names] for names in reply[1:])
        if ended:
            _REVOKED.inc(len(ended))
            await self._tell(user, ended)
        return reply[0].decode(), ended, left

    async def _write_down(self, revocation: Revocation) -> None:
        if self._ledger is not None:
            await self._ledger.record(revocation)

    async def _seal(self, user: str, epoch: str) -> bool:
        """Wait until the revocation that gave `epoch` cannot be lost any more; False when the server has lost it."""
        seal = _SEAL([self._keys.epoch(user)], [epoch, EPOCH_LIFETIME_MS])
        return bool(await self._client.durable(seal, disk=self._ledger is None))

    async def _tell(self, user: str, digests: Sequence[str]) -> None:
        if self._announce is not None:
            await self._announce(user, [public_id(digest) for digest in digests])
