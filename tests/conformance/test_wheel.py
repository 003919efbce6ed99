"""The wheel as somebody installs it: it starts the server, and its base alone is enough for a cached function."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.serving import ROOT
from harness.valkey import free_port
from harness.waiting import HANG, eventually

if TYPE_CHECKING:
    from harness.valkey import ValkeyServer

UV = Path(sys.executable).with_name("uv")
BASE = ("redis", "hiredis", "prometheus-client")


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


def locked(names: tuple[str, ...]) -> str:
    """The lines of the lock for some distributions."""
    text = (ROOT / "requirements/base.txt").read_text()
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


def test_the_wheel_serves(wheel: Path, tmp_path: Path) -> None:
    """``graph serve`` from an installed wheel, far from the sources, answers a query and ends."""
    commands = installed(tmp_path, wheel)
    port = free_port()
    environment = {**os.environ, "GRAPH_PORT": str(port), "GRAPH_JOBS_BESIDE": "false"}
    server = subprocess.Popen([commands / "graph", "serve"], cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL)
    query = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql",
        json.dumps({"query": "{ products(first: 1) { nodes { sku } } }"}).encode(),
        {"content-type": "application/json"},
    )

    def answers() -> bool:
        assert server.poll() is None
        try:
            with urllib.request.urlopen(query, timeout=HANG) as answer:
                return bool(json.load(answer)["data"]["products"]["nodes"][0]["sku"])
        except OSError:
            return False

    try:
        eventually(answers)
    finally:
        server.terminate()
        assert server.wait(HANG) == 0


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
