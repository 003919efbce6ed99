"""``graph serve``: migrates, seeds an empty database, then serves with uvicorn in one process or several.

With one process, the services run in the server's event loop. With several, this process keeps the listening socket and
the embedded Valkey and restarts workers that die; each worker opens its own services on the same Redis and SQL. On
SIGTERM or Ctrl-C the socket closes, requests in progress finish (within ``GRAPH_GRACE`` seconds), then the services
close, the Valkey last; the exit status is 0.
"""

import asyncio
import gc
import logging
import multiprocessing
import os
import shutil
import signal
import socket
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.supervisors import Multiprocess

from graph import log
from graph.background import worker_beside
from graph.cli import support
from graph.cli.welcome import announce, prepare
from graph.endpoint.observe import fold
from graph.engines.child import die_with_parent
from graph.server import Forwarded, HttpProtocol, WebSocketConnection, bound_connections
from graph.services import open_services
from graph.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Generator

    from starlette.types import ASGIApp

    from graph.endpoint.observe import AccessLog

logger = logging.getLogger(__name__)

HSTS = ("strict-transport-security", "max-age=31536000")
"""With TLS, browsers send no request without it for a year (RFC 6797)."""


def serve(settings: Settings, listener: socket.socket) -> None:
    """Serve connections to `listener` until a signal stops it."""
    if settings.server.workers == 1:
        from graph.app import create_app  # here, where nothing looks for garbage yet (`support.run`)

        support.run(lambda: _serve_alone(settings, listener, create_app), _new_loop())
    else:
        _serve_with_workers(settings, listener)


def _new_loop() -> "Callable[[], asyncio.AbstractEventLoop] | None":
    if sys.platform == "win32":
        return None
    from graph.server import Loop

    return Loop


def options(settings: Settings) -> dict[str, Any]:
    """Return uvicorn's configuration."""
    server = settings.server
    return {
        "loop": "graph.server:Loop" if sys.platform != "win32" else "asyncio",
        "http": HttpProtocol,
        "ws": WebSocketConnection,
        "ws_max_size": settings.bounds.body,
        "ws_per_message_deflate": False,  # compressing small events costs more than it saves
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "headers": [HSTS] if server.tls_certificate or settings.accounts.secure_cookie else [],
        "forwarded_allow_ips": server.trusted_proxies,
        "proxy_headers": False,  # `Forwarded` handles more of these headers
        "timeout_keep_alive": server.keep_alive,
        "timeout_graceful_shutdown": round(server.grace),
        "workers": server.workers,
        "ssl_certfile": server.tls_certificate,
        "ssl_keyfile": server.tls_key,
    }


def forwarded(app: "ASGIApp", settings: Settings) -> "ASGIApp":
    """Wrap `app` for use behind the proxies that the settings name."""
    return Forwarded(app, settings.server.trusted_proxies, settings.server.root_path)


def fresh_metrics(settings: Settings, listener: socket.socket) -> Path:
    """Make the empty folder in which processes beside this one count; each port of the machine has its own."""
    folder = settings.server.data_dir.resolve() / "metrics" / str(listener.getsockname()[1])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def spare_the_collector() -> None:
    """Exclude long-lived objects from garbage collection, and make full collections rarer.

    A full collection including the schema and the modules takes 75 ms, during which no request is answered, and is due
    every half second under full load; without them it takes 5 ms.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)


# --- one process ---


class Server(uvicorn.Server):
    """uvicorn's server, with a callback when it is ready."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        """Call `on_ready` once connections are accepted."""
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start."""
        await super().startup(sockets)
        if self.started:
            self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop, and end the lifespan while the services are open.

        After a second Ctrl-C uvicorn leaves requests and the lifespan to be cancelled with the event loop, after the
        services have closed.
        """
        await super().shutdown(sockets)
        if self.force_exit:
            for task in self.server_state.tasks:
                task.cancel(log.CUT_OFF)
            await self.lifespan.shutdown()


async def _serve_alone(settings: Settings, listener: socket.socket, create_app: "Callable[..., ASGIApp]") -> None:
    bound_connections(settings.bounds.connections, settings.bounds.connections_per_address)
    async with AsyncExitStack() as stack:
        await support.migrate(settings)
        services = await stack.enter_async_context(open_services(settings))
        await prepare(settings, services)
        metrics = fresh_metrics(settings, listener)
        await stack.enter_async_context(worker_beside(settings, metrics))
        app = create_app(
            settings, services, log=access_log(settings), on_started=spare_the_collector, metrics_beside=metrics
        )
        server = Server(
            uvicorn.Config(forwarded(app, settings), **options(settings)), lambda: announce(settings, listener)
        )
        # uvicorn raises the signal that stopped it again at its end, when it has already been obeyed.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _already_obeyed)
        await server.serve([listener])


def _already_obeyed(_number: int, _frame: FrameType | None) -> None:
    pass


def access_log(settings: Settings) -> "AccessLog | None":
    """Return the access log on standard error, unless it is switched off."""
    from graph.endpoint.observe import AccessLog

    if not settings.server.access_log:
        return None

    def write(data: bytes) -> None:
        sys.stderr.buffer.write(data)
        sys.stderr.buffer.flush()

    return AccessLog(write, style=log.chosen(settings.server.log, sys.stderr), color=sys.stderr.isatty())


# --- several processes ---


class Supervisor(Multiprocess):
    """uvicorn's supervisor, with a callback when every worker is ready."""

    def __init__(
        self, config: uvicorn.Config, sockets: list[socket.socket], metrics: Path, on_ready: Callable[[], None]
    ) -> None:
        """Call `on_ready` once every worker accepts connections; they count in the folder `metrics`."""
        super().__init__(config, sockets)
        self._metrics = metrics
        self._on_ready = on_ready

    def init_processes(self) -> None:
        """Start the workers."""
        super().init_processes()
        if all(process.wait_until_ready(60, self.should_exit) for process in self.processes):
            self._on_ready()

    def keep_subprocess_alive(self) -> None:
        """Replace a worker that died, and keep of its metrics what it counted."""
        before = {process.pid for process in self.processes}
        super().keep_subprocess_alive()
        for pid in before - {process.pid for process in self.processes}:
            fold(pid or 0, self._metrics)  # each was started

    def terminate_all(self) -> None:
        """Stop listening, so that no client waits for a worker that will not accept it, then stop the workers."""
        for listener in self.sockets:
            listener.close()
        super().terminate_all()


def worker_app() -> "ASGIApp":
    """Return the application of one worker process, which ends with the process that started it."""
    from graph.app import create_app

    parent = multiprocessing.parent_process()
    if parent is not None and (die := die_with_parent(parent.pid or 0)) is not None:
        die()
    settings = Settings.from_environment()
    log.configure(settings.server.log)
    bound_connections(settings.bounds.connections, settings.bounds.connections_per_address)
    app = create_app(settings, log=access_log(settings), on_started=spare_the_collector)
    return forwarded(app, settings)


def _serve_with_workers(settings: Settings, listener: socket.socket) -> None:
    os.environ.update(settings.environment())
    metrics = fresh_metrics(settings, listener)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(metrics)
    config = uvicorn.Config("graph.cli.serve:worker_app", factory=True, **options(settings))
    with _services_in_a_thread(settings, metrics):
        Supervisor(config, [listener], metrics, lambda: announce(settings, listener)).run()


@contextmanager
def _services_in_a_thread(settings: Settings, metrics: Path) -> "Generator[None]":
    """Own the embedded Valkey for the workers in a thread, because uvicorn's supervisor blocks its own."""
    ready: Future[None] = Future()
    stop = threading.Event()

    async def hold() -> None:
        async with AsyncExitStack() as stack:
            try:
                await support.migrate(settings)
                services = await stack.enter_async_context(open_services(settings))
                await prepare(settings, services)
                await stack.enter_async_context(worker_beside(settings, metrics))
            except BaseException as error:
                ready.set_exception(error)
                raise
            ready.set_result(None)
            await asyncio.to_thread(stop.wait)

    def run() -> None:
        try:
            asyncio.run(hold())
        except Exception:
            logger.debug("the supervisor's services ended", exc_info=True)

    async def started() -> None:
        await asyncio.wrap_future(ready)

    thread = threading.Thread(target=run, name="services")
    thread.start()
    try:
        support.run(started)
        yield
    finally:
        stop.set()
        thread.join()
