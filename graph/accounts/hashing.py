"""The process that hashes passwords, for `graph.accounts.passwords`.

It reads one request a line from its standard input, a socket: a JSON array of a number, the parameters, a password
(its bytes as Latin-1) and the hash to verify it against, or null for a new one. It answers with a line: the number, the
hash or whether the password is right, and how many seconds it took. Answers come as they are ready.

It is a process and not a thread because a low-priority thread that holds Python's lock can be preempted by any process
of the machine while the event loop waits for the lock. The process has a low priority, ignores Ctrl-C, and ends when
the socket closes, that is, whenever the server ends. A request that it cannot read also ends it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import threading
import time
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

_LOW_PRIORITY = 10


@cache
def hasher(memory_kib: int, passes: int, lanes: int) -> PasswordHasher:
    """Return an Argon2id hasher with these parameters, the same object each time."""
    return PasswordHasher(
        time_cost=passes, memory_cost=memory_kib, parallelism=lanes, hash_len=32, salt_len=16, type=Type.ID
    )


def of_nobody(memory_kib: int, passes: int, lanes: int) -> str:
    """Return a hash with these parameters that no password has: nothing is computed, its bytes are random."""
    salt, digest = (b64encode(os.urandom(size)).decode().rstrip("=") for size in (16, 32))
    return f"$argon2id$v=19$m={memory_kib},t={passes},p={lanes}${salt}${digest}"


def main(threads: int) -> None:
    """Answer requests until the socket is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        os.nice(_LOW_PRIORITY)
    answers = threading.Lock()

    def work(line: bytes) -> None:
        number, parameters, password, hashed = json.loads(line)
        began = time.perf_counter()
        answer = _answer(hasher(*parameters), password.encode("latin-1"), hashed)
        told = json.dumps((number, answer, time.perf_counter() - began)).encode() + b"\n"
        with answers, contextlib.suppress(OSError):  # the server may be gone
            server.sendall(told)

    with socket.socket(fileno=0) as server, server.makefile("rb") as requests, ThreadPoolExecutor(threads) as pool:
        for line in requests:
            pool.submit(work, line)
        pool.shutdown(cancel_futures=True)


def _answer(argon2: PasswordHasher, password: bytes, hashed: str | None) -> str | bool:
    if hashed is None:
        return argon2.hash(password)
    try:
        return argon2.verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return False


if __name__ == "__main__":
    main(int(sys.argv[1]))
