"""The wheel as somebody installs it: it starts the server and a new project; its base is enough for a cache."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.serving import ROOT
from harness.valkey import free_port
from harness.waiting import HANG, eventually

if TYPE_CHECKING:
    from harness.valkey import ValkeyServer

UV = Path(sys.executable).with_name("uv")
BASE = ("redis", "hiredis", "prometheus-client")
TESTING = ("certifi", "h11", "httpcore", "httpx", "iniconfig", "packaging", "pluggy", "pygments", "pytest")
TUTORIAL = (ROOT / "docs/new-project.md").read_text()


def uv(*arguments: str | Path, cwd: Path = ROOT) -> None:
    """Run uv."""
    subprocess.run([UV, *arguments, "--quiet"], cwd=cwd, check=True, timeout=HANG)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built with the locked build backend."""
    folder = tmp_path_factory.mktemp("dist")
    uv("build", "--wheel", "--no-build-isolation", "--python", sys.executable, "--out-dir", folder)
    (built,) = folder.glob("*.whl")
    return built


def locked(names: tuple[str, ...], lock: str = "base") -> str:
    """The lines of the lock for some distributions."""
    text = (ROOT / f"requirements/{lock}.txt").read_text()
    blocks = re.findall(r"^[\w.-]+==.*(?:\n    .*)*", text, re.MULTILINE)
    return "\n".join(one for one in blocks if not names or one.partition("==")[0] in names)


def installed(folder: Path, wheel: Path, *names: str) -> Path:
    """A fresh environment with the wheel and what the lock has of `names`, or all of it; gives its ``bin``."""
    (folder / "lock.txt").write_text(locked(names))
    uv("venv", "--python", sys.executable, folder / "venv")
    python = folder / "venv/bin/python"
    uv("pip", "install", "--python", python, "--require-hashes", "--no-deps", "-r", folder / "lock.txt")
    uv("pip", "install", "--python", python, "--no-deps", wheel)
    return python.parent


@pytest.fixture(scope="module")
def commands(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel and everything that it needs; its ``bin``."""
    return installed(tmp_path_factory.mktemp("installed"), wheel)


def asked(port: int, query: str, accept: str = "application/json") -> urllib.request.Request:
    """The request of an operation."""
    headers = {"content-type": "application/json", "accept": accept}
    return urllib.request.Request(f"http://127.0.0.1:{port}/graphql", json.dumps({"query": query}).encode(), headers)


def answer_of(port: int, query: str) -> Any:
    """The data of an operation; None while nobody listens."""
    try:
        with urllib.request.urlopen(asked(port, query), timeout=HANG) as answer:
            return json.load(answer)["data"]
    except urllib.error.URLError:
        return None


def test_the_wheel_serves(commands: Path, tmp_path: Path) -> None:
    """``graph serve`` from an installed wheel, far from the sources, answers a query and ends."""
    port = free_port()
    environment = {**os.environ, "GRAPH_PORT": str(port), "GRAPH_JOBS_BESIDE": "false"}
    server = subprocess.Popen([commands / "graph", "serve"], cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL)

    def answers() -> bool:
        assert server.poll() is None
        found = answer_of(port, "{ products(first: 1) { nodes { sku } } }")
        return bool(found and found["products"]["nodes"][0]["sku"])

    try:
        eventually(answers)
    finally:
        server.terminate()
        assert server.wait(HANG) == 0


@pytest.fixture
def project(commands: Path, tmp_path: Path) -> Path:
    """What ``graph new`` makes, with what the tutorial adds; packages are those of `commands`, its tests' included."""
    subprocess.run([commands / "graph", "new", "bakery"], cwd=tmp_path, check=True, timeout=HANG)
    made = tmp_path / "bakery"
    for kind, path, text in re.findall(r"^```(python|diff)\n# (\S+)\n(.*?)^```$", TUTORIAL, re.MULTILINE | re.DOTALL):
        file = made / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if kind == "python":
            assert not file.exists()
            file.write_text(text)
            continue
        old = "".join(f"{line[1:]}\n" for line in text.splitlines() if not line.startswith("+"))
        new = "".join(f"{line[1:]}\n" for line in text.splitlines())
        assert file.read_text().count(old) == 1, (path, old)
        file.write_text(file.read_text().replace(old, new))
    (tmp_path / "testing.txt").write_text(locked(TESTING, "dev"))
    more = ("--python", commands / "python", "--require-hashes", "--no-deps", "-r", tmp_path / "testing.txt")
    uv("pip", "install", *more)
    (made / ".venv").symlink_to(commands.parent)
    (made / ".venv/.installed").touch()
    return made


def test_a_new_project_runs_with_what_the_tutorial_adds(project: Path) -> None:
    """Its tests pass; an order is placed, baked by the worker and followed, by the operations of the tutorial."""
    mutation, query, subscription = re.findall(r"^```graphql\n(.*?)^```$", TUTORIAL, re.MULTILINE | re.DOTALL)
    subprocess.run(["make", "--silent", "test"], cwd=project, check=True, timeout=3 * HANG)
    subprocess.run(["make", "--silent", "schema"], cwd=project, check=True, timeout=HANG)
    assert "orderChanged(number: Int!): Order" in (project / "schema.graphql").read_text()
    port = free_port()
    environment = {**os.environ, "GRAPH_PORT": str(port)}
    server = subprocess.Popen(["make", "serve"], cwd=project, env=environment, start_new_session=True)
    try:
        eventually(lambda: server.poll() is not None or answer_of(port, "{ notes { text } }") == {"notes": []})
        placed = answer_of(port, mutation)
        assert placed == {"placeOrder": {"number": 1, "baked": False}}
        with urllib.request.urlopen(asked(port, subscription, "text/event-stream"), timeout=HANG) as events:
            for line in events:
                if line.startswith(b"data: ") and json.loads(line[6:])["data"]["orderChanged"]["baked"]:
                    break
        assert answer_of(port, query) == {"order": {"bread": "Rye", "baked": True}}
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(HANG)


def test_the_base_of_the_wheel_is_enough_for_a_cached_function(
    wheel: Path, tmp_path: Path, valkey: ValkeyServer
) -> None:
    """With redis, hiredis and prometheus-client alone."""
    commands = installed(tmp_path, wheel, *BASE)
    program = (
        "import asyncio, sys\nfrom graph.library import Redis, cached\nredis = Redis(sys.argv[1])\n"
        "@cached(redis, ttl=60, tags='n')\nasync def double(n): return 2 * n\nprint(asyncio.run(double(4)))\n"
    )
    done = subprocess.run(
        [commands / "python", "-c", program, valkey.url], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == "8\n"
    shutil.rmtree(tmp_path / "venv")
