"""The ACL user that the doctor prints: nothing that the sources send is missing, and the line is taken."""

from __future__ import annotations

import re
from pathlib import Path

import graph
from graph.engines.acl import COMMANDS, NEWER, ONCE, acl_line
from harness.valkey import ValkeyServer
from tests.support.processes.fork_server import command

SOURCES = Path(graph.__file__).parent
_IN_LUA = re.compile(r"redis\.p?call\('(\w+)'")
_IN_PYTHON = re.compile(r"""(?:command|execute|Command)\(\(?b?"([A-Z]+)"(?:, "([A-Z]+)")?""")
_OTHERWISE = {"multi", "config", "sentinel", "begin", "commit", "rollback"}
"""CONFIG is the doctor's, which does without; the Sentinels have users of their own; the rest is SQL."""


def sent() -> set[str]:
    """The commands in the sources, as far as they stand there in words."""
    found = {name.lower() for path in SOURCES.rglob("*.lua") for name in _IN_LUA.findall(path.read_text())}
    for path in SOURCES.rglob("*.py"):
        found |= {name.lower() for name, _ in _IN_PYTHON.findall(path.read_text())}
    return found - _OTHERWISE


def test_every_command_of_the_sources_is_allowed() -> None:
    """A script or a pattern that sends another command has to name it."""
    assert sent() - {name.partition("|")[0] for name in (*COMMANDS, *ONCE)} == set()


def test_nothing_administrative_is_allowed() -> None:
    """The user can neither read nor remove what is not the product's."""
    assert {name.partition("|")[0] for name in COMMANDS}.isdisjoint(
        {
            "config",
            "flushall",
            "flushdb",
            "keys",
            "scan",
            "monitor",
            "debug",
            "shutdown",
            "acl",
            "client|kill",
            "replicaof",
        }
    )


def test_the_line_is_taken_and_holds_the_user_to_the_prefix(tmp_path: Path) -> None:
    """As ``graph doctor --acl`` prints it, with a password put in."""
    done = command(tmp_path, "doctor", "--acl", GRAPH_REDIS_PREFIX="shop")
    assert done.returncode == 0, done.stderr
    (line,) = [one for one in done.stdout.splitlines() if one.startswith("ACL SETUSER")]
    assert line == acl_line("shop")
    with ValkeyServer() as server:
        assert server.command(*line.replace(">PASSWORD", ">secret").split()) == b"OK"
        assert server.command("ACL", "DRYRUN", "graph", "GET", "shop:x") == b"OK"
        assert b"no permissions" in server.command("ACL", "DRYRUN", "graph", "GET", "other:x")
        assert b"no permissions" in server.command("ACL", "DRYRUN", "graph", "FLUSHALL")


def test_an_older_server_is_given_what_it_knows() -> None:
    """Redis 7.0 refuses a line that names a command it does not have."""
    older = acl_line("graph", newer=False)
    assert all(f"+{name}" not in older.split() for name in NEWER)
    assert len(older.split()) == len(acl_line("graph").split()) - len(NEWER)
