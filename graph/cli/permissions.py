"""What ``graph doctor`` says of a Redis that refuses: which command, key or channel its user is denied, and where.

What to do about any other refusal is told by `advice_for`.

Every module that keeps something in Redis declares the shapes of its keys and channels, below the prefix and with
asterisks for what differs: `DURABLE_KEYS`, `EXPIRING_KEYS` and `CHANNELS`. They are read here; a test looks whether a
busy server has keys that nobody declared.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from functools import cache
from typing import TYPE_CHECKING

import graph
from graph.engines import acl
from graph.patterns.client import Wanted, denied

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping
    from types import ModuleType

    from graph.patterns.client import Denied

_ELSEWHERE = ("graph.cli", "graph.engines.migrations", "graph.__main__")
_UNUSED = "graph-doctor"
"""Stands for each asterisk in a key that is tried."""

_REFUSED = {
    "OOM": "raise maxmemory, or set a maxmemory-policy that evicts: volatile-lru",
    "MISCONF": "look at the disk that Redis writes its snapshots to",
    "NOREPLICAS": "start the replicas that min-replicas-to-write asks for, or lower it",
    "READONLY": "point GRAPH_REDIS_URL at the primary",
    "MASTERDOWN": "point GRAPH_REDIS_URL at the primary",
    "BUSY": "a script holds the server: SCRIPT KILL",
    "LOADING": "it reads its data: wait",
    "CLUSTERDOWN": "start the nodes that are down, or have others take over their slots",
    "NOPERM": "allow the user of GRAPH_REDIS_URL what the error names",
}
_SAID = {
    "max number of clients": "raise maxclients of Redis, or see who has so many connections: CLIENT LIST",
    "protected mode": "give Redis a password, or bind it to the address of a private network",
}
"""Refusals without a word of their own, by what they say."""


def declared(name: str) -> dict[str, str]:
    """What is declared under `name` over all modules of the package: shapes, with what is said of them."""
    found: dict[str, str] = {}
    for module in _modules():
        shapes: Mapping[str, str] = getattr(module, name, {})
        found |= shapes
    return found


@cache
def _modules() -> tuple[ModuleType, ...]:
    """All modules of the package; to find them, the folders are read."""
    names = [module.name for module in pkgutil.walk_packages(graph.__path__, "graph.")]
    return tuple(importlib.import_module(name) for name in names if not name.startswith(_ELSEWHERE))


def key_shapes() -> dict[str, str]:
    """The shapes of all keys."""
    return declared("DURABLE_KEYS") | declared("EXPIRING_KEYS")


async def missing(url: str, prefix: str) -> list[Denied]:
    """What the user of `url` may not do, on any server, of what the product needs."""

    def unused(shapes: Iterable[str]) -> dict[str, str]:
        return {shape: f"{prefix}:{shape.replace('*', _UNUSED)}" for shape in shapes}

    stands = {acl.KEY: f"{prefix}:{_UNUSED}", acl.CHANNEL: f"{prefix}:{_UNUSED}"}
    commands = {
        name: [*name.split("|"), *(stands.get(word, word) for word in arguments.split())]
        for name, arguments in acl.COMMANDS.items()
    }
    keys, channels = unused(key_shapes()), unused(declared("CHANNELS"))
    return await denied(url, Wanted(commands, keys, channels, in_clusters=acl.IN_CLUSTERS, elsewhere=acl.ELSEWHERE))


def told(found: Iterable[Denied], prefix: str) -> Generator[tuple[bool, str, str]]:
    """Say each as whether it must be changed, a fact, and what to do about it."""
    for one in found:
        if one.what == "reach":
            yield (
                False,
                f"{one.server} cannot be asked: {one.why}",
                "start it, or say with address_map in GRAPH_REDIS_URL where it can be reached",
            )
        elif one.what == "sign in":
            advice = f"correct the password in GRAPH_REDIS_URL, or make the user {one.user} there: graph doctor --acl"
            yield True, f"{one.server} does not let the user {one.user} in: {one.why}", advice
        elif one.what == "command":
            needed = [name for name in one.names if name not in acl.OPTIONAL]
            spared = [name for name in one.names if name in acl.OPTIONAL]
            if needed:
                rules = " ".join(f"+{name}" for name in needed)
                yield True, f"{one.server} denies {_listed(needed)}", _there(one, rules)
            if spared:
                rules = " ".join(f"+{name}" for name in spared)
                yield False, f"{one.server} denies {_listed(spared)}: done without", _there(one, rules)
        else:
            sign = "~" if one.what == "key" else "&"
            shapes = _listed([f"{prefix}:{shape}" for shape in one.names])
            yield True, f"{one.server} denies {one.what}s {shapes}", _there(one, f"{sign}{prefix}:*")


def _listed(names: list[str]) -> str:
    most = 8
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _there(one: Denied, rules: str) -> str:
    return f"on {one.server}: ACL SETUSER {one.user} {rules}"


def advice_for(told: str, otherwise: str) -> str:
    """What to do about a Redis of which this was `told`; else do `otherwise`."""
    said = next((advice for part, advice in _SAID.items() if part in told), "")
    words = re.findall(r"\b[A-Z]{3,}\b", told)
    return said or next((_REFUSED[word] for word in words if word in _REFUSED), otherwise)
