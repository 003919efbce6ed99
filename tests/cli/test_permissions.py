"""``graph doctor`` and a Redis user that is denied something: it says what, on which server, and how to allow it."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from graph.cli.doctor import check_redis
from graph.cli.permissions import declared, key_shapes, missing
from graph.engines.acl import COMMANDS, ELSEWHERE, IN_CLUSTERS, OPTIONAL, acl_line
from graph.settings import RedisSettings, Settings
from harness.valkey import SentinelSet, ValkeyCluster, ValkeyServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graph.cli.doctor import Finding

ALONE = [name for name in COMMANDS if name not in IN_CLUSTERS]


@pytest.fixture(scope="module")
def server() -> Iterator[ValkeyServer]:
    """A server whose users a test may change."""
    with ValkeyServer() as running:
        yield running


def allow(server: ValkeyServer, *changes: str, user: str = "graph") -> None:
    """Make the user of ``graph doctor --acl`` on `server`, and change what it may do."""
    words = acl_line("graph", user=user).replace(">PASSWORD", ">secret").split()
    assert server.command(*words, *changes) == b"OK"


async def examine(url: str) -> list[Finding]:
    """What the doctor finds in the Redis behind `url`."""
    async with AsyncExitStack() as stack:
        return [finding async for finding in check_redis(Settings(redis=RedisSettings(url=url)), stack)]


def signed_in(server: ValkeyServer, database: int = 0) -> str:
    """The URL of `server` with the user in it."""
    return f"redis://graph:secret@127.0.0.1:{server.port}/{database}"


async def test_the_user_of_the_doctor_lacks_nothing(server: ValkeyServer) -> None:
    """On a server by itself, with any database: nothing is denied, and trying has changed nothing."""
    allow(server)
    server.command("ACL", "LOG", "RESET")
    for database in (0, 3):
        assert await missing(signed_in(server, database), "graph") == []
        assert server.command("ACL", "LOG") == []
    assert server.command("INFO", "keyspace").strip() == b"# Keyspace"
    found = await examine(signed_in(server))
    assert [(one.verdict, one.about) for one in found if one.about == "permissions"] == [("ok", "permissions")]


@pytest.mark.parametrize(
    "filled", [("SET", "text"), ("HSET", "field", "text"), ("ZADD", "1", "member"), ("XADD", "*", "field", "text")]
)
async def test_what_a_busy_server_holds_stays(server: ValkeyServer, filled: tuple[str, ...]) -> None:
    """The keys that are tried may be there: the doctor changes none of them, nor takes one away."""
    allow(server)
    keys = [f"graph:{shape}" for shape in key_shapes() if "*" not in shape]
    assert "graph:{jobs}:queue" in keys
    verb, *words = filled
    for key in keys:
        server.command(verb, key, *words)
    before = [server.command("DUMP", key) for key in keys]
    assert await missing(signed_in(server), "graph") == []
    assert [server.command("DUMP", key) for key in keys] == before
    assert server.command("DBSIZE") == len(keys)
    server.command("FLUSHALL")


async def test_each_command_that_is_denied_is_named(server: ValkeyServer) -> None:
    """It alone: that shows that each is really sent, and that the others do not need it."""
    for name in ALONE:
        allow(server, f"-{name}")
        found = await missing(signed_in(server, 1), "graph")
        assert [(one.what, one.names) for one in found] == [("command", (name,))]
    assert server.command("INFO", "keyspace").strip() == b"# Keyspace"


async def test_what_cannot_be_done_without_is_wrong(server: ValkeyServer) -> None:
    """A user that cannot even sign in fully is told what is denied, not to start the server; the line given helps."""
    allow(server, "-info", "-zadd", "-client|setname")
    found = await examine(signed_in(server))
    assert [finding.verdict for finding in found] == ["wrong", "wrong", "note"]
    assert "start it" not in found[0].advice
    assert found[1].fact == f"127.0.0.1:{server.port} denies info, zadd"
    where, _, line = found[1].advice.partition(": ")
    assert where == f"on 127.0.0.1:{server.port}"
    assert server.command(*line.split()) == b"OK"
    verdicts = {finding.about: finding.verdict for finding in await examine(signed_in(server))}
    assert "wrong" not in verdicts.values()
    assert set(OPTIONAL).isdisjoint({"info", "zadd"})


@pytest.mark.parametrize(
    ("rules", "what", "shapes"),
    [
        (("resetkeys", "~other:*"), "key", key_shapes()),
        (
            ("resetkeys", "~graph:[^t]*"),
            "key",
            ["tag:{*}", "topic:{*}:history", "topic:{*}:state"],
        ),
        (("resetchannels", "&other:*"), "channel", declared("CHANNELS")),
        (("resetchannels", "&graph:t*"), "channel", ["lock:{*}"]),
    ],
)
async def test_keys_and_channels_that_are_denied_are_named(
    server: ValkeyServer, rules: tuple[str, ...], what: str, shapes: list[str]
) -> None:
    """Each by its shape, with the rule that allows all of them."""
    allow(server, *rules)
    (denied,) = [one for one in await missing(signed_in(server), "graph") if one.what == what]
    assert sorted(denied.names) == sorted(shapes)
    wrong = [one for one in await examine(signed_in(server)) if one.about == "permissions"]
    assert any(one.verdict == "wrong" and f"graph:{denied.names[0]}" in one.fact for one in wrong)
    assert any(one.advice.endswith("~graph:*" if what == "key" else "&graph:*") for one in wrong)


async def test_a_user_that_is_not_let_in_is_told(server: ValkeyServer) -> None:
    """With a wrong password, and where the server is away altogether."""
    allow(server)
    found = await examine(signed_in(server).replace("secret", "wrong"))
    assert any("does not let the user graph in" in one.fact for one in found)
    with ValkeyServer() as gone:
        url = gone.tcp_url
    found = await examine(url)
    assert [one.verdict for one in found] == ["wrong", "note"]
    assert "start it" in found[0].advice


async def test_every_node_of_a_cluster_is_asked() -> None:
    """A replica that does not know the user, and a primary that denies it a command, are both named."""
    with ValkeyCluster(replicas=True) as cluster:
        for node in cluster.nodes:
            allow(node)
        url = cluster.url.replace("://", "://graph:secret@")
        assert await missing(url, "graph") == []
        for name in (*IN_CLUSTERS, "xadd"):
            allow(cluster.nodes[1], f"-{name}")
            found = await missing(url, "graph")
            assert [(one.server, one.names) for one in found] == [(f"127.0.0.1:{cluster.nodes[1].port}", (name,))]
        cluster.nodes[4].command("ACL", "DELUSER", "graph")
        found = await missing(url, "graph")
        assert {(one.server, one.what) for one in found} == {
            (f"127.0.0.1:{cluster.nodes[1].port}", "command"),
            (f"127.0.0.1:{cluster.nodes[4].port}", "sign in"),
        }
        assert set(ELSEWHERE).isdisjoint(name for one in found for name in one.names)


async def test_sentinels_and_replicas_are_asked() -> None:
    """The Sentinels' user is another one; a replica counts, too: it may be the primary tomorrow."""
    with SentinelSet(3) as servers:
        for node in (servers.primary, servers.replica):
            allow(node)
        allow(servers.replica, "-publish")
        watcher = ("ACL", "SETUSER", "watcher", "on", ">secret", "allchannels", "+@all", "-sentinel|master")
        servers.tell(servers.ports[1], *watcher)
        url = servers.url.replace("://", "://graph:secret@")
        found = {(one.server, one.user, one.what, one.names) for one in await missing(url, "graph") if one.names}
        assert found == {(f"127.0.0.1:{servers.replica.port}", "graph", "command", ("publish",))}
        for port in servers.ports:
            servers.tell(port, *watcher)
        found = {
            (one.server, one.user, one.names)
            for one in await missing(f"{url}?sentinel_username=watcher&sentinel_password=secret", "graph")
            if one.names
        }
        assert found >= {(f"Sentinel 127.0.0.1:{port}", "watcher", ("sentinel|master",)) for port in servers.ports}
        assert (f"127.0.0.1:{servers.replica.port}", "graph", ("publish",)) in found
