"""The hasher: today's parameters, beside the loop, bounded, and blind to who exists."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil
import pytest
from argon2 import extract_parameters
from argon2.exceptions import VerifyMismatchError

from graph.accounts import hashing
from graph.accounts.passwords import LANES, MEMORY_KIB, PASSES, Hasher, Overloaded
from graph.errors import Unavailable
from harness.waiting import HANG

if TYPE_CHECKING:
    from pathlib import Path


def children() -> list[psutil.Process]:
    """The processes that this one has started to hash."""
    found: list[psutil.Process] = []
    for one in psutil.Process().children():
        with contextlib.suppress(psutil.Error):  # it has just ended
            found += [one] if "hashing.py" in " ".join(one.cmdline()) else []
    return found


@pytest.fixture(autouse=True)
def forked_hashers() -> None:
    """Here the process is what is tested: it is started as in production."""


async def test_hashes_are_argon2id_with_the_recommended_parameters() -> None:
    """A hash says Argon2id, 19 MiB, two passes, one lane, and two of one password differ."""
    with Hasher() as hasher:
        first, second = await hasher.hash(b"secret"), await hasher.hash(b"secret")
        assert first.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
        assert (MEMORY_KIB, PASSES, LANES) == (19456, 2, 1)
        assert first != second
        assert await hasher.verify(b"secret", first)
        assert not await hasher.verify(b"Secret", first)
        assert not hasher.is_outdated(first)


async def test_nothing_verifies_against_nobody() -> None:
    """No password is right where there is no hash, and no hash is right for what cannot be a password."""
    with Hasher(memory_kib=8, passes=1) as hasher:
        for password in (b"", b"secret", None):
            assert not await hasher.verify(password, None)
        assert not await hasher.verify(None, await hasher.hash(b""))
        assert not await hasher.verify(b"secret", "not a hash")


def test_nobodys_hash_is_as_much_work_as_anybodys() -> None:
    """It is not computed, but has the form and the parameters of one that is; and no two are alike."""
    given, made = hashing.of_nobody(8, 1, 1), hashing.hasher(8, 1, 1).hash(b"secret")
    assert extract_parameters(given) == extract_parameters(made)
    assert len(given) == len(made)
    assert given != hashing.of_nobody(8, 1, 1)
    with pytest.raises(VerifyMismatchError):  # it was computed and compared, not found malformed
        hashing.hasher(8, 1, 1).verify(given, b"secret")


async def test_older_hashes_still_verify_and_are_outdated() -> None:
    """Parameters may change: what was hashed with others verifies and is known to be due."""
    with Hasher(memory_kib=8, passes=1) as old, Hasher(memory_kib=16, passes=2) as new:
        hashed = await old.hash(b"secret")
        assert await new.verify(b"secret", hashed)
        assert new.is_outdated(hashed)
        assert not old.is_outdated(hashed)


async def test_the_loop_goes_on_while_passwords_are_hashed() -> None:
    """Hashing happens in another process, which runs after the event loop's and shares no lock with it."""
    with Hasher(threads=2) as hasher:
        await hasher.hash(b"secret")
        (process,) = children()
        spent, turns = time.process_time(), 0
        work = asyncio.gather(*(hasher.hash(b"secret") for _ in range(8)))
        while not work.done():
            turns += 1
            await asyncio.sleep(0.001)
        assert turns > 5
        assert time.process_time() - spent < sum(process.cpu_times()[:2])
        assert process.nice() == min(psutil.Process().nice() + 10, 19)  # there is nothing behind 19
        assert children() == [process]
    assert not children()


async def test_a_process_that_dies_is_replaced() -> None:
    """Killed at its work, it costs nobody an answer; killed again and again, callers hear that it is unavailable."""
    with Hasher() as hasher:
        hashed = await hasher.hash(b"secret")
        asked = [asyncio.create_task(hasher.verify(b"secret", hashed)) for _ in range(5)]
        await asyncio.sleep(0)
        children()[0].kill()
        assert await asyncio.gather(*asked) == [True] * 5

        asking = asyncio.create_task(hasher.verify(b"secret", hashed))
        while not asking.done():
            for child in children():
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()
            await asyncio.sleep(0.001)
        with pytest.raises(Unavailable):
            await asking
        assert await hasher.verify(b"secret", hashed)


def test_the_process_ends_with_its_parent(tmp_path: Path) -> None:
    """A server that is killed leaves no process behind."""
    code = "import asyncio; from graph.accounts.passwords import Hasher; h = Hasher()\n"
    code += "async def run():\n await h.hash(b'x'); print('ready', flush=True); await asyncio.sleep(60)\n"
    code += "asyncio.run(run())"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=tmp_path) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"ready\n"
        (child,) = psutil.Process(parent.pid).children()
        parent.kill()
    assert psutil.wait_procs([child], HANG) == ([child], [])


async def test_a_crowd_is_refused_at_once() -> None:
    """When more wait than may, the next is told so without waiting; those who wait have their turns, in order."""
    with Hasher(memory_kib=8, passes=1, threads=1, waiting=5) as hasher:
        served: list[int] = []
        begin = asyncio.Event()

        async def work(number: int) -> None:
            async with hasher.turn():
                await begin.wait()
                served.append(number)

        waiting = [asyncio.create_task(work(i)) for i in range(5)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            async with hasher.turn():
                pass
        begin.set()
        await asyncio.gather(*waiting)
        assert served == [0, 1, 2, 3, 4]
        await work(5)


async def test_few_have_a_turn_at_a_time() -> None:
    """One more than there are threads is at work, whatever the number of callers; the others have begun nothing."""
    with Hasher(memory_kib=8, passes=1, threads=2) as hasher:
        at_once = most = 0

        async def work() -> None:
            nonlocal at_once, most
            async with hasher.turn():
                at_once += 1
                most = max(most, at_once)
                await hasher.hash(b"secret")
                at_once -= 1

        await asyncio.gather(*(work() for _ in range(30)))
        assert most == 3


async def test_a_caller_that_gives_up_leaves_the_queue() -> None:
    """Cancelled callers, waiting or at work, make room for others and cost no hash."""
    with Hasher(threads=1, waiting=50) as hasher:
        hashed = 0

        async def work() -> None:
            nonlocal hashed
            async with hasher.turn():
                await hasher.hash(b"secret")
                hashed += 1

        tasks = [asyncio.create_task(work()) for _ in range(50)]
        await asyncio.sleep(0)
        for task in tasks[1:]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(work() for _ in range(3)))
        assert hashed == 4


async def test_closing_drops_what_waits() -> None:
    """Closing does not work off the queue."""
    hasher = Hasher(threads=1)
    waiting = [asyncio.create_task(hasher.hash(b"secret")) for _ in range(50)]
    while not children():
        await asyncio.sleep(0)
    hasher.close()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(outcome, asyncio.CancelledError | Unavailable) for outcome in outcomes)
    assert not children()
