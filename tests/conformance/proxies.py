"""nginx, Caddy and Vite before servers, by the configurations of docs/proxies.md and by the shortest that people write.

Each proxy is a process of its own on ports of 127.0.0.1, with all of its files in one folder; it ends with the block.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
from typing import TYPE_CHECKING

from harness.serving import ROOT
from harness.valkey import free_port
from harness.waiting import HANG, eventually

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

BLOCKS: dict[str, str] = dict(
    re.findall(r"```\w+\n(?:#|//) ([\w.]+)[^\n]*\n(.*?)```", (ROOT / "docs/proxies.md").read_text(), re.DOTALL)
)
_SERVER = "127.0.0.1:8000"
_PLACES = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@contextlib.contextmanager
def nginx(folder: Path, server: int, plain: int) -> Generator[dict[str, str]]:
    """Run nginx; gives the address of each of its sites by name.

    As the page has them they stand before port `server`, the bare ``proxy_pass`` before port `plain`.
    """
    ports = {name: free_port() for name in ("nginx", "nginx under a prefix", "nginx, a bare proxy_pass")}
    whole, below, bare = (f"listen 127.0.0.1:{port};" for port in ports.values())
    page = BLOCKS["graph.conf"].replace(_SERVER, f"127.0.0.1:{server}")
    site = page[page.index("server {\n  listen") :]
    prefixed = f"{site[: site.index('  location /')]}{BLOCKS['prefix.conf']}}}".replace("listen 80;", below)
    lines = [
        "daemon off; error_log stderr; pid nginx.pid;",
        *(["user root;"] if os.geteuid() == 0 else []),
        "events { worker_connections 4096; }",
        "http { access_log off;",
        *(f"{place}_temp_path {place};" for place in _PLACES),
        page.replace("listen 80;", whole),
        prefixed,
        f"server {{ {bare} location / {{ proxy_pass http://127.0.0.1:{plain}; }} }}",
        "}",
    ]
    with running_nginx(folder, "\n".join(lines), list(ports.values())):
        yield {name: f"http://127.0.0.1:{port}/{'shop/' * ('prefix' in name)}" for name, port in ports.items()}


@contextlib.contextmanager
def running_nginx(folder: Path, configuration: str, ports: list[int]) -> Generator[None]:
    """Run nginx by a whole configuration."""
    folder.mkdir()
    (folder / "nginx.conf").write_text(configuration)
    with _running(
        folder, ports, shutil.which("nginx") or "/usr/sbin/nginx", "-e", "stderr", "-p", str(folder), "-c", "nginx.conf"
    ):
        yield


@contextlib.contextmanager
def caddy(folder: Path, server: int, plain: int) -> Generator[dict[str, str]]:
    """Run Caddy in the same way; the shortest site there is stands before port `plain`."""
    folder.mkdir()
    ports = {name: free_port() for name in ("Caddy", "Caddy under a prefix", "Caddy, one line")}
    whole, below, bare = (f"http://127.0.0.1:{port}" for port in ports.values())
    sites = [
        BLOCKS["Caddyfile"].replace("shop.example", f"http://:{ports['Caddy']}"),
        BLOCKS["Caddyfile.prefix"].replace("shop.example", f"http://:{ports['Caddy under a prefix']}"),
    ]
    text = "\n".join(sites).replace(_SERVER, f"127.0.0.1:{server}")
    short = f"http://:{ports['Caddy, one line']} {{\nreverse_proxy 127.0.0.1:{plain}\n}}\n"
    options = "{\nadmin off\nauto_https off\ndefault_bind 127.0.0.1\n}\n"
    (folder / "Caddyfile").write_text(options + text + short)
    command = ["caddy", "run", "--config", "Caddyfile", "--adapter", "caddyfile"]
    with _running(folder, list(ports.values()), *command):
        yield {"Caddy": f"{whole}/", "Caddy under a prefix": f"{below}/shop/", "Caddy, one line": f"{bare}/"}


@contextlib.contextmanager
def vite(folder: Path, server: int, packages: Path) -> Generator[dict[str, str]]:
    """Run Vite's dev server twice before port `server`: by the page, and rewriting Host, as its short form does."""
    page = BLOCKS["vite.config.js"]
    texts = {"Vite": page, "Vite, Host rewritten": page.replace("target:", "changeOrigin: true, target:")}
    addresses: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        for number, (name, text) in enumerate(texts.items()):
            port, site = free_port(), folder / str(number)
            site.mkdir(parents=True)
            (site / "package.json").write_text('{"type": "module"}')
            (site / "vite.config.js").write_text(text.replace(_SERVER, f"127.0.0.1:{server}"))
            (site / "index.html").write_text("<!doctype html><title>A page</title>")
            command = ["node", str(packages / "vite/bin/vite.js"), "--host", "127.0.0.1", "--port", str(port)]
            stack.enter_context(_running(site, [port], *command, "--strictPort", end=signal.SIGKILL))
            addresses[name] = f"http://127.0.0.1:{port}/"
        yield addresses


@contextlib.contextmanager
def _running(folder: Path, ports: list[int], *command: str, end: int = signal.SIGTERM) -> Generator[None]:
    """Run `command` in `folder` until the block ends; it has to listen on `ports`, and ends by the signal `end`.

    (Vite waits for its connections to end, minutes long; there is nothing of it to be put in order.)
    """
    log = folder / "log"
    homes = {name: str(folder) for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")}
    with log.open("wb") as said:
        process = subprocess.Popen(command, cwd=folder, env={**os.environ, **homes}, stdout=said, stderr=said)
    try:
        for port in ports:
            eventually(lambda port=port: process.poll() is not None or _listens(port))
        assert process.poll() is None, log.read_text()
        yield
    finally:
        process.send_signal(end)
        try:
            process.wait(HANG)
        finally:
            process.kill()


def _listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0
