"""Remembers which commands the user of a server may not send, and asks regularly whether they are allowed by now.

The question is ``redis.acl_check_cmd`` in a script (Redis 7.0 and later): the server looks up what the user may do with
the very keys and channels that were refused, and does nothing. So a denial is reported for as long as it lasts, whether
anybody sends the command again or not, and no longer than `PAUSE` and one answer after that.

Where the server cannot be asked, because it is away or denies EVAL as well, or where it did not say what a script was
denied, a denial is reported for `KEPT` seconds after the last refusal. So is a key that holds another type than it
should (WRONGTYPE), but no longer than until the types of the command's keys have changed.

Log lines: one a command that is denied, or a key, `_LINES` in `KEPT` seconds at most (``graph doctor`` names all
commands), and one when everything is allowed again.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from graph.patterns.client.commands import Argument, Command
from graph.patterns.client.refusals import SPOILED

if TYPE_CHECKING:
    from collections.abc import Callable

    from graph.patterns.client.batch import Replies
    from graph.patterns.client.refusals import RedisRefused

PAUSE = 0.5
"""Seconds between two questions."""
KEPT = 60.0
_MOST = 256  # commands remembered
_LINES = 5
_LONG = 1024  # bytes of an argument that is no key and no channel

_ASK = b"return redis.acl_check_cmd(unpack(ARGV)) and 1 or 0"
_TYPES = b"local t = {} for i, k in ipairs(KEYS) do t[i] = redis.call('TYPE', k).ok end return table.concat(t, ' ')"
_NOTHING = Command((b"PING",), None, retry=True)
_IN_SCRIPT = re.compile(r"ACL failure in script: .*permissions to run the '([\w|-]+)'")
logger = logging.getLogger(__name__)


class _Denial(NamedTuple):
    """What was refused last, and when; `question` finds out whether it still is, None where nobody knows how.

    It asks for the types of keys where `types` says what they were the first time.
    """

    at: float
    message: str
    question: Command | None
    types: bytes | None = None


class Denials:
    """What one server denies its user."""

    def __init__(self, probe: Callable[[Command], asyncio.Future[Replies]]) -> None:
        """Begin with nothing; `probe` sends a command past the circuit."""
        self._probe = probe
        self._loop = asyncio.get_running_loop()
        self._denied: dict[str, _Denial] = {}
        self._told: dict[str, float] = {}
        self._lines: deque[float] = deque(maxlen=_LINES)
        self._task: asyncio.Task[None] | None = None

    @property
    def refusal(self) -> str:
        """Why the server denies a command; empty while it denies none."""
        return next((one.message for one in self._denied.values()), "")

    def note(self, refused: RedisRefused, one: Command) -> None:
        """Record that `one` was refused."""
        name = one.script.name if one.script is not None else _text(one.args[0])
        now = self._loop.time()
        message, question = str(refused), _question(refused, one)
        if refused.word in SPOILED:
            keys = _keys_of(one)
            name = f"{name} of {' '.join(map(_text, keys))!a:.300}"
            message = f"{refused} ({name})"
            question = Command((b"EVAL", _TYPES, len(keys), *keys), one.key, retry=True)
        before = self._denied.pop(name, None)
        self._denied[name] = _Denial(now, message, question, before.types if before is not None else None)
        _bound(self._denied)
        quiet = len(self._lines) < _LINES or self._lines[0] < now - KEPT
        if quiet and self._told.get(name, float("-inf")) < now - KEPT:
            self._lines.append(now)
            self._told.pop(name, None)
            self._told[name] = now
            _bound(self._told)
            logger.warning("Redis denies %s: %s", name, refused)
        if self._task is None:
            self._task = asyncio.create_task(self._watch(), name="redis-denials")

    async def _watch(self) -> None:
        try:
            while self._denied:
                asked = dict(self._denied)
                replies = await asyncio.gather(*(self._probe(one.question or _NOTHING) for one in asked.values()))
                for (name, one), (reply,) in zip(asked.items(), replies, strict=True):
                    self._judge(name, one, reply)
                await asyncio.sleep(PAUSE)
        finally:
            self._task = None

    def _judge(self, name: str, one: _Denial, reply: object) -> None:
        now, current = self._loop.time(), self._denied.get(name)
        asked = one.question is not None
        if asked and current is not None and current.types is None and isinstance(reply, bytes):
            self._denied[name] = current._replace(types=reply)
        if current is not one:
            return  # it was refused once more meanwhile
        if asked and reply == 0:
            self._denied[name] = one._replace(at=now)
        elif (asked and (reply == 1 or _differs(reply, one.types))) or one.at < now - KEPT:
            del self._denied[name]
            if not self._denied:
                logger.warning("Redis allows every command again")

    async def close(self) -> None:
        """Stop asking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])


def _question(refused: RedisRefused, one: Command) -> Command | None:
    """Ask about the command that the user may not run: `one`, or the one that its script tried to run."""
    if one.script is not None and "ACL failure in script" in str(refused):
        inner = _IN_SCRIPT.search(str(refused))
        asked = () if inner is None else (*inner[1].split("|"), *one.args[3:4])
    else:
        asked = tuple(b"" if isinstance(arg, bytes | str) and len(arg) > _LONG else arg for arg in one.args)
    return Command((b"EVAL", _ASK, 0, *asked), None, retry=True) if asked else None


def _differs(reply: object, types: bytes | None) -> bool:
    """Whether keys have other types than they had, or are gone."""
    return isinstance(reply, bytes) and (types not in (None, reply) or set(reply.split()) <= {b"none"})


def _keys_of(one: Command) -> tuple[Argument, ...]:
    if one.script is not None:
        return one.args[3 : 3 + int(one.args[2])]
    return () if one.key is None else (one.key,)


def _text(argument: Argument) -> str:
    return argument.decode() if isinstance(argument, bytes) else str(argument)


def _bound(kept: dict[str, _Denial] | dict[str, float]) -> None:
    if len(kept) > _MOST:
        del kept[next(iter(kept))]
