"""What workers count is where Prometheus looks: on the page of the server beside them, or on a port of their own."""

from __future__ import annotations

import asyncio
import os
import re
import resource
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import psutil

from graph.background import metrics_page
from graph.endpoint.observe import MetricsFiles, fold
from harness.serving import Serving, Working
from harness.valkey import free_port
from harness.waiting import HANG, eventually, until
from tests.support.engines.stocked import stocked
from tests.support.processes.fork_server import command

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

TIDIED = 'graph_jobs_total{name="tidy",outcome="succeeded"}'


def value(page: str, series: str) -> float | None:
    """The value of `series` on the page of metrics, None where it is not there; it is there once."""
    found = re.findall(rf"^{re.escape(series)} (\S+)$", page, re.MULTILINE)
    assert len(found) <= 1, found
    return float(found[0]) if found else None


def test_the_page_of_one_server_tells_of_the_worker_beside_it(tmp_path: Path) -> None:
    """Jobs, durations and how many wait are there; a worker that dies takes none along and leaves nothing under way."""
    began = time.time() // 3600
    with Serving(stocked(tmp_path), GRAPH_ACCOUNTS_FIRST_ADMIN="none", GRAPH_JOBS_METRICS_PORT="1") as serving:
        serving.ready()

        def page() -> str:
            return serving.get("/metrics")[2].decode()

        eventually(lambda: value(page(), TIDIED))
        told = page()
        assert (value(told, 'graph_job_seconds_count{name="tidy"}') or 0) >= 1
        assert (value(told, 'graph_job_seconds_bucket{le="+Inf",name="tidy"}') or 0) >= 1
        eventually(lambda: value(page(), "graph_jobs_waiting") == 0)
        assert told.count("# TYPE graph_jobs_total ") == told.count("# TYPE graph_cache_reads_total ") == 1
        assert (value(told, 'graph_http_requests_total{method="GET",route="/metrics",status="200"}') or 0) >= 1
        [worker] = [one for one in psutil.Process(serving.process.pid).children() if "worker" in one.cmdline()]
        folder = tmp_path / "metrics" / str(serving.port)
        assert (folder / f"gauge_livesum_{worker.pid}.db").exists()
        worker.kill()
        eventually(lambda: not (folder / f"gauge_livesum_{worker.pid}.db").exists())
        eventually(lambda: len(list(folder.glob("gauge_livesum_*.db"))) == 1)
        assert not list(folder.glob(f"*_{worker.pid}.db")), "what it counted is with what all counted that have ended"
        counted = value(page(), TIDIED) or 0
        assert 1 <= counted <= time.time() // 3600 - began + 1, "it runs once an hour, whatever worker runs it"
        openmetrics = serving.get("/metrics", Accept="application/openmetrics-text; version=1.0.0")[2].decode()
        assert openmetrics.endswith("# EOF\n")
        assert (value(openmetrics, TIDIED) or 0) >= counted
    serving._environment["GRAPH_JOBS_BESIDE"] = "false"  # pyright: ignore[reportPrivateUsage] - none need start again
    with serving:
        serving.ready()
        assert not list(folder.glob(f"*_{worker.pid}.db")), "an earlier server's workers are not counted again"


def test_a_worker_alone_has_a_page_of_its_own(tmp_path: Path) -> None:
    """`graph worker` shows its metrics on GRAPH_JOBS_METRICS_PORT, to whoever asks properly; others do not harm it."""
    port, url = free_port(), ""
    with Serving(stocked(tmp_path), GRAPH_ACCOUNTS_FIRST_ADMIN="none", GRAPH_JOBS_BESIDE="false") as serving:
        serving.ready()
        with Working(tmp_path / "worker", GRAPH_DATA_DIR=str(tmp_path), GRAPH_JOBS_METRICS_PORT=str(port)) as worker:
            url = f"http://127.0.0.1:{port}"
            eventually(lambda: value(_page(url), TIDIED))
            eventually(lambda: value(_page(url), "graph_jobs_running") == 0)
            assert _raw(port, b"GET /healthz HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 200 OK")
            assert _raw(port, b"HEAD /metrics HTTP/1.1\r\n\r\n").endswith(b"\r\n\r\n")
            assert _raw(port, b"GET / HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 404 ")
            assert _raw(port, b"POST /metrics HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 405 ")
            assert _raw(port, b"\xff\x00\r\n\r\n").startswith(b"HTTP/1.1 405 ")
            assert _raw(port, b"GET /" + b"a" * 100_000) == b""
            second = command(tmp_path, "worker", GRAPH_JOBS_METRICS_PORT=str(port))
            assert second.returncode == 1
            assert f"GRAPH_JOBS_METRICS_PORT={port + 1} graph worker" in second.stderr
            assert worker.stop() == 0
        assert "Traceback" not in worker.log.read_text()
        assert value(serving.get("/metrics")[2].decode(), TIDIED) is None


COUNT = """
import os, sys
from prometheus_client import Counter, Gauge, Histogram
for number in sys.argv[1:]:
    if (pid := os.fork()) == 0:
        jobs, seconds = Counter("jobs", "How many.", ["name"]), Histogram("seconds", "How long.", buckets=(1, 10))
        jobs.labels("ä").inc(float(number))
        seconds.observe(5)
        Gauge("running", "Now.", multiprocess_mode="livesum").set(1)
        os._exit(0)
    assert os.waitpid(pid, 0) == (pid, 0)
    print(pid)
"""


def counted(folder: Path, *numbers: int) -> list[int]:
    """The ids of processes that counted in `folder`, and have ended: what they need is loaded once for all."""
    environs = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)}
    words = (sys.executable, "-c", COUNT, *map(str, numbers))
    done = subprocess.run(words, env=environs, check=True, stdout=subprocess.PIPE, timeout=HANG)
    return [int(pid) for pid in done.stdout.split()]


def total(folder: Path) -> dict[str, float]:
    """What is counted in the folder, by sample."""
    samples = [sample for family in MetricsFiles(folder).collect() for sample in family.samples]
    return {f"{one.name} {' '.join(one.labels.values())}".strip(): one.value for one in samples}


def test_processes_that_ended_leave_one_file_a_kind(tmp_path: Path) -> None:
    """However many there were: all that they counted is there, and no gauge of what they had under way."""
    folder = tmp_path / "[old]*"  # it is a name, not a pattern
    folder.mkdir()
    (last,) = counted(folder, 1)
    fold(last, folder)
    assert sorted(one.name for one in folder.glob("*.db")) == ["counter_ended.db", "histogram_ended.db"]
    for pid in (ended := counted(folder, 2, 4, 8))[:-1]:
        fold(pid, folder)
    left = {"counter_ended.db", "histogram_ended.db"}
    assert {one.name for one in folder.glob("*.db")} - {one.name for one in folder.glob(f"*_{ended[-1]}.db")} == left
    seen = total(folder)
    assert (seen["jobs_total ä"], seen["running"]) == (15, 1)
    assert [seen[f"seconds_{name}"] for name in ("bucket 1.0", "bucket 10.0", "bucket +Inf", "count", "sum")] == [
        *(0, 4, 4, 4, 20)
    ]


def test_who_reads_while_files_are_folded_sees_each_count_once(tmp_path: Path) -> None:
    """No reading is lower or higher than the sum, whatever it falls between."""
    ended = counted(tmp_path, *[1] * 8)
    reading, sums = threading.Event(), set[float]()

    def read() -> None:
        while not done.is_set():
            sums.add(total(tmp_path)["jobs_total ä"])
            reading.set()

    done = threading.Event()
    reader = threading.Thread(target=read)
    reader.start()
    try:
        for pid in ended:
            eventually(lambda: reading.is_set() or not reader.is_alive())
            fold(pid, tmp_path)
            reading.clear()
    finally:
        done.set()
        reader.join()
    assert sums == {8}


def test_what_cannot_be_folded_counts_as_before(tmp_path: Path) -> None:
    """As on a full disk: its file stays, and what had been folded."""
    first, pid = counted(tmp_path, 1, 2)
    fold(first, tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, hard))
    try:
        fold(pid, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    assert (tmp_path / f"counter_{pid}.db").exists()
    assert not list(tmp_path.glob("*.new"))
    assert total(tmp_path)["jobs_total ä"] == 3


async def test_who_reads_no_answer_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that asks and reads nothing keeps no task, nor what it was to get."""
    monkeypatch.setattr(metrics_page, "PATIENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1024)  # those that are accepted have it, too
        async with metrics_page.metrics_page(listener):
            before = asyncio.all_tasks()
            with socket.socket() as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
                client.connect(listener.getsockname())
                client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
                await until(lambda: select.select([client], [], [], 0)[0])
                await until(lambda: asyncio.all_tasks() == before)


def _page(url: str) -> str:
    try:
        with urllib.request.urlopen(f"{url}/metrics", timeout=HANG) as answer:
            body: Any = answer.read()
            return body.decode()
    except OSError:
        return ""


def _raw(port: int, sent: bytes) -> bytes:
    """All that comes back for `sent`."""
    with socket.create_connection(("127.0.0.1", port), timeout=HANG) as connection:
        answer = b""
        try:
            connection.sendall(sent)
            while part := connection.recv(65_536):
                answer += part
        except ConnectionError:  # it had enough
            pass
        return answer
