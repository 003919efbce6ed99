"""The engines that the histories are made on, with handles for what may go wrong with them."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from graph.settings import sqlite_url
from harness.postgres import Postgres, run_apart
from harness.serving import valkey_of
from harness.valkey import SentinelSet, ValkeyCluster, ValkeyServer
from history.clock import Clock
from history.cut import Link

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

REDIS = shutil.which("redis-server")
"""Debian's Redis 7.0."""


DISK = 128
"""MiB of the file system of the embedded engine."""
CLOCKED = 1
"""The server whose clock may be set."""
CUT_OFF = 2
"""The server that reaches Redis only through links which may be cut."""


@dataclass
class Engine:
    """Settings of the servers, and what faults need to know."""

    name: str
    settings: dict[str, str] = field(default_factory=dict[str, str])
    folder: Path | None = None
    single: ValkeyServer | None = None
    sentinels: SentinelSet | None = None
    cluster: ValkeyCluster | None = None
    postgres: Postgres | None = None
    links: list[Link] = field(default_factory=list[Link])
    cut_off: str = ""
    """The URL of Redis for the third server, which leads through `links`."""
    disk: Path | None = None
    """The file system of `folder`, if it has one of its own, which may be filled."""
    clocks: list[Clock] = field(default_factory=list[Clock])
    """Those of Redis, and of the second server, where they may be set."""

    def settings_of(self, server: int) -> dict[str, str]:
        """What is different for one of the servers."""
        if server == CLOCKED and self.clocks:
            return self.clocks[1].variables
        return {"GRAPH_REDIS_URL": self.cut_off} if server == CUT_OFF and self.cut_off else {}

    def reign(self) -> tuple[int, frozenset[int]]:
        """Who rules: the Sentinels' epoch, which grows with every failover, and the ports of a cluster's primaries."""
        if self.sentinels is not None:
            states = [self.sentinels.state(port) for port in self.sentinels.ports]
            return max(int(state.get(b"config-epoch", 0)) for state in states), frozenset()
        return 0, frozenset(() if self.cluster is None else (node.port for node in self.cluster.primaries()))

    def redis_pids(self) -> list[int]:
        """The processes that hold the keys at the moment."""
        if self.single is not None:
            return [self.single.pid]
        if self.sentinels is not None:
            named = self.sentinels.named()
            return [] if named is None else [named.pid]
        if self.cluster is not None:
            return [self.cluster.primaries()[-1].pid]
        assert self.folder is not None
        return valkey_of(self.folder)


@contextlib.contextmanager
def embedded(folder: Path) -> Generator[Engine]:
    """The embedded Valkey and SQLite, on a file system of their own where this process may mount one."""
    data = folder / "data"
    data.mkdir()
    with _file_system(data) as disk, Link(data / "valkey" / "socket") as link:
        through = f"redis://127.0.0.1:{link.port}"
        yield Engine("embedded", folder=data, links=[link], cut_off=through, disk=disk)


@contextlib.contextmanager
def _file_system(folder: Path) -> Generator[Path | None]:
    words = ("mount", "-t", "tmpfs", "-o", f"size={DISK}m", "none", folder)
    if subprocess.run(words, capture_output=True, check=False).returncode:
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@contextlib.contextmanager
def clocked(folder: Path) -> Generator[Engine]:
    """Valkey 9.1, with its file, and SQLite; the clocks of Valkey and of a server may be set."""
    clocks = [Clock(folder / f"{name}.clock") for name in ("redis", "server")]
    with ValkeyServer(aof=True, variables=clocks[0].variables) as server:
        settings = {"GRAPH_REDIS_URL": server.tcp_url, **_sqlite(folder)}
        yield Engine("clocked", settings, single=server, clocks=clocks)


@contextlib.contextmanager
def debian(folder: Path) -> Generator[Engine]:
    """Redis 7.0, with its file, and PostgreSQL."""
    assert REDIS is not None, "redis-server is not installed"
    del folder
    with Postgres() as postgres, ValkeyServer(binary=REDIS, aof=True) as server:
        names: list[str] = []

        async def create() -> None:
            names.append(await postgres.create(empty=True))

        run_apart(create)
        settings = {"GRAPH_REDIS_URL": server.tcp_url, "GRAPH_DATABASE_URL": postgres.url(names[0])}
        with Link(server.port) as link:
            through = f"redis://127.0.0.1:{link.port}"
            yield Engine("debian", settings, single=server, postgres=postgres, links=[link], cut_off=through)


@contextlib.contextmanager
def sentinel(folder: Path) -> Generator[Engine]:
    """A primary and a replica behind three Sentinels, and SQLite."""
    with SentinelSet(3) as servers:
        settings = {"GRAPH_REDIS_URL": servers.url, **_sqlite(folder)}
        with _links([servers.primary.port, servers.replica.port, *servers.ports]) as (links, pairs):
            through = f"{servers.url}?address_map={pairs}"
            yield Engine("sentinel", settings, sentinels=servers, links=links, cut_off=through)


@contextlib.contextmanager
def cluster(folder: Path) -> Generator[Engine]:
    """Three primaries with a replica each, and SQLite."""
    with ValkeyCluster(replicas=True) as nodes:
        settings = {"GRAPH_REDIS_URL": nodes.url, **_sqlite(folder)}
        with _links([node.port for node in nodes.nodes]) as (links, pairs):
            through = f"{nodes.url}?address_map={pairs}"
            yield Engine("cluster", settings, cluster=nodes, links=links, cut_off=through)


@contextlib.contextmanager
def _links(ports: list[int]) -> Generator[tuple[list[Link], str]]:
    """A link to each port, and the address map that leads through them."""
    with contextlib.ExitStack() as stack:
        links = [stack.enter_context(Link(port)) for port in ports]
        yield (
            links,
            ",".join(f"127.0.0.1:{port}=127.0.0.1:{link.port}" for port, link in zip(ports, links, strict=True)),
        )


def _sqlite(folder: Path) -> dict[str, str]:
    return {"GRAPH_DATABASE_URL": sqlite_url(folder / "graph.db")}


ENGINES: dict[str, Callable[[Path], contextlib.AbstractContextManager[Engine]]] = {
    "embedded": embedded,
    "debian": debian,
    "clocked": clocked,
    "sentinel": sentinel,
    "cluster": cluster,
}
