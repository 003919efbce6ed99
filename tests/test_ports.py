"""The ports of test servers: no two processes of tests get the same, however long one takes to listen."""

from __future__ import annotations

import os
import socket

from harness.valkey import free_port


def ports_of_child(count: int) -> set[int]:
    """What a forked process gets."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(write, ",".join(str(free_port()) for _ in range(count)).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as told:
        ports = {int(port) for port in told.read().split(",")}
    os.waitpid(pid, 0)
    return ports


def test_processes_have_ports_of_their_own() -> None:
    """Ports that are taken but not listened on yet are given to no other process, a forked one neither."""
    mine = {free_port() for _ in range(250)}
    assert len(mine) <= 200
    assert mine.isdisjoint(ports_of_child(250))


def test_what_listens_is_passed_by() -> None:
    """A port on which something listens is not given again."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", free_port()))
        listening.listen()
        assert listening.getsockname()[1] not in {free_port() for _ in range(400)}
