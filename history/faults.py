"""What goes wrong: each fault happens to a `Rig` while clients use it, and is over when its function returns.

A process that was killed is started again, one that was stopped goes on: what the product makes of the time between,
and of the time after, is what the histories are about.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import psutil
import redis
from redis.crc import key_slot

from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.serving import Serving
    from harness.valkey import ValkeyServer
    from history.cut import Way
    from history.engines import Engine
    from history.rig import Rig

ALL = ("embedded", "debian", "sentinel", "cluster")
_HOUR = 3600.0
_KEPT = 6.0  # seconds that a disk is full, or a clock wrong
_WAYS: tuple[Way, ...] = ("refused", "swallowed", "deaf")
_SHARE = 7  # of the 20 operations of an address: a third, rounded up
_CUT = 8.0  # seconds that a server is cut off from Redis
_MOMENT = 1.0  # seconds that a killed process is away


@dataclass(frozen=True)
class Fault:
    """What happens, on which engines, and what it may cost.

    That is the budget of a limit, `forgotten` by Redis so many times, or granted `apart` by a server that cannot ask
    Redis; and all that Redis held where it is `emptied`.
    """

    happen: Callable[[Rig], None]
    engines: tuple[str, ...] = ALL
    forgotten: int = 0
    apart: int = 0
    emptied: bool = False


def _nothing(_rig: Rig) -> None:
    time.sleep(_MOMENT)


def _kill_server(rig: Rig) -> None:
    _kill(rig.servers[0], rig)


def _kill_worker(rig: Rig) -> None:
    _kill(rig.worker, rig)


def _kill(process: Serving, rig: Rig) -> None:
    process.process.send_signal(signal.SIGKILL)
    time.sleep(_MOMENT)
    rig.restart(process)


def _stop(pids: Callable[[Rig], list[int]], seconds: float, rig: Rig) -> None:
    stopped = pids(rig)
    for pid in stopped:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    time.sleep(seconds)
    for pid in stopped:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def _family(pid: int) -> list[int]:
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        return [pid, *(child.pid for child in process.children(recursive=True))]
    return []


def _node(engine: Engine) -> ValkeyServer | None:
    """The server that holds the keys, or a primary of the cluster; None for the embedded one."""
    if engine.sentinels is not None:
        found: list[ValkeyServer] = []

        def named() -> bool:
            assert engine.sentinels is not None
            server = engine.sentinels.named()
            found[:] = [] if server is None else [server]
            return server is not None

        eventually(named)
        return found[0]
    if engine.cluster is not None:
        # The first node tells the others' roles to the tests: it stays.
        return next(one for one in engine.cluster.primaries() if one is not engine.cluster.nodes[0])
    return engine.single


def _kill_redis(rig: Rig) -> None:
    node, engine = _node(rig.engine), rig.engine
    if node is None:
        for pid in engine.redis_pids():
            os.kill(pid, signal.SIGKILL)
        return
    node.kill()
    if engine.sentinels is not None:
        eventually(lambda: engine.sentinels is not None and engine.sentinels.named() not in (None, node))
    elif engine.cluster is not None:
        eventually(lambda: engine.cluster is not None and node not in engine.cluster.primaries())
    else:
        time.sleep(_MOMENT)
    node.start()


def _kill_sql(rig: Rig) -> None:
    assert rig.engine.postgres is not None
    rig.engine.postgres.crash()


def _flush(rig: Rig) -> None:
    engine = rig.engine
    if engine.cluster is not None:
        for node in engine.cluster.primaries():
            node.command("FLUSHALL")
    elif (node := _node(engine)) is not None:
        node.command("FLUSHALL")
    else:
        assert engine.folder is not None
        with redis.Redis(unix_socket_path=str(engine.folder / "valkey" / "socket")) as admin:
            admin.execute_command("FLUSHALL")  # pyright: ignore[reportUnknownMemberType]


def _fail_over(*words: str, rig: Rig) -> None:
    engine = rig.engine
    if engine.sentinels is not None:
        engine.sentinels.fail_over()
        return
    cluster = engine.cluster
    assert cluster is not None
    replica = next(one for one in cluster.nodes[1:] if one not in cluster.primaries())
    replica.command("CLUSTER", "FAILOVER", *words)
    eventually(lambda: replica in cluster.primaries())


def _migrate_slots(rig: Rig) -> None:
    cluster = rig.engine.cluster
    assert cluster is not None
    for tag in (b"jobs", b"fleet", b"attempts"):
        slot = key_slot(tag)
        source = cluster.owner(slot)
        target = next(node for node in cluster.primaries() if node is not source)
        cluster.begin_migration(slot, target)
        time.sleep(_MOMENT / 2)
        cluster.move_keys(slot, target)
        time.sleep(_MOMENT / 2)
        cluster.end_migration(slot, target)


def _cut_off(way: Way, rig: Rig) -> None:
    for link in rig.engine.links:
        link.cut(way)
    time.sleep(_CUT)
    for link in rig.engine.links:
        link.heal()


def _lose_power(rig: Rig) -> None:
    """Kill Redis, and take away what it had not forced to the disk: with `appendfsync everysec`, the last second."""
    server = rig.engine.single
    assert server is not None

    def file() -> Path:
        return max((server.folder / "appendonlydir").glob("*.incr.aof"), key=lambda one: one.stat().st_mtime)

    before, kept = file(), file().stat().st_size
    time.sleep(_MOMENT)
    server.kill()
    if file() == before:
        os.truncate(before, kept)
    server.start()


def _fill_disk(rig: Rig) -> None:
    """Leave no room where the data are; with room again, all goes on."""
    assert rig.engine.disk is not None, "only root may mount a file system to fill"
    ballast = rig.engine.disk / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1 << 12))
    time.sleep(_KEPT)
    ballast.unlink()


def _set_clock(whose: int, seconds: float, rig: Rig) -> None:
    """Set a clock wrong, and right again."""
    rig.engine.clocks[whose].set(seconds)
    time.sleep(_KEPT)
    rig.engine.clocks[whose].set(0)


def _clocks() -> dict[str, Fault]:
    return {
        f"{name}'s clock an hour {which}": Fault(
            partial(_set_clock, whose, seconds),
            ("clocked",),
            # What was charged an hour ago, or will be in an hour, is forgotten: when it jumps, and when it returns.
            forgotten=2 if whose == 0 else 0,
        )
        for whose, name in enumerate(("Redis", "server"))
        for which, seconds in (("ahead", _HOUR), ("behind", -_HOUR))
    }


def _pauses(name: str, pids: Callable[[Rig], list[int]], engines: tuple[str, ...] = ALL) -> dict[str, Fault]:
    return {
        f"{name} stopped for {seconds} s": Fault(
            partial(_stop, pids, seconds),
            engines,
            # Sentinels and nodes replace a primary that does not answer; what it had not replicated is lost.
            forgotten=1 if name == "Redis" else 0,
        )
        for seconds in (3, 8, 15)
    }


def _second_server(rig: Rig) -> list[int]:
    return [rig.servers[1].process.pid]


def _worker(rig: Rig) -> list[int]:
    return [rig.worker.process.pid]


def _redis(rig: Rig) -> list[int]:
    return rig.engine.redis_pids()


def _replica(rig: Rig) -> list[int]:
    engine = rig.engine
    if engine.sentinels is not None:
        primary = _node(engine)
        return [one.pid for one in (engine.sentinels.primary, engine.sentinels.replica) if one is not primary]
    assert engine.cluster is not None
    primaries = engine.cluster.primaries()
    return [one.pid for one in engine.cluster.nodes if one not in primaries]


def _postmaster(rig: Rig) -> list[int]:
    assert rig.engine.postgres is not None
    return _family(rig.engine.postgres.pid)


FAULTS: dict[str, Fault] = {
    "none": Fault(_nothing),
    # The embedded Valkey belongs to the first server, and goes with it.
    "server killed": Fault(_kill_server, forgotten=1),
    "worker killed": Fault(_kill_worker),
    "Redis killed": Fault(_kill_redis, forgotten=1),
    "SQL killed": Fault(_kill_sql, ("debian",)),
    "FLUSHALL": Fault(_flush, forgotten=1, emptied=True),
    **_pauses("server", _second_server),
    **_pauses("worker", _worker),
    **_pauses("Redis", _redis),
    **_pauses("SQL", _postmaster, ("debian",)),
    **{
        f"server cut off from Redis: {way}": Fault(partial(_cut_off, way), apart=0 if way == "deaf" else _SHARE)
        for way in _WAYS
    },
    "power lost": Fault(_lose_power, ("debian",), forgotten=1, emptied=True),
    "replicas stopped for 8 s": Fault(partial(_stop, _replica, 8), ("sentinel", "cluster")),
    "failover by hand": Fault(lambda rig: _fail_over(rig=rig), ("sentinel", "cluster"), forgotten=1),
    "failover by force": Fault(lambda rig: _fail_over("FORCE", rig=rig), ("cluster",), forgotten=1),
    "disk full": Fault(_fill_disk, ("embedded",), forgotten=1),
    **_clocks(),
    "slots moved": Fault(_migrate_slots, ("cluster",)),
}
"""By the name that the table gives them."""
