"""Serves an ASGI application on 127.0.0.1 from the test's own event loop, as `graph serve` would."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import uvicorn

from graph.server.websocket import WebSocketConnection
from harness.valkey import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.types import ASGIApp, Receive, Scope, Send


@contextlib.asynccontextmanager
async def serving(
    app: ASGIApp,
    *,
    ws_max_size: int = 1 << 24,
    deflate: bool = False,
    http: Any = "auto",
    state: dict[str, Any] | None = None,
) -> AsyncGenerator[int]:
    """Serve `app` for the length of the block and give its port.

    With `deflate`, WebSockets are compressed for clients that offer it, which `graph serve` never does. `state` is what
    its lifespan would leave. Where it is empty, its own is run; without one, none.
    """
    port = free_port()
    config = uvicorn.Config(
        _with_state(app, state) if state else app,
        port=port,
        log_level="critical",
        http=http,
        access_log=False,
        ws=WebSocketConnection,
        forwarded_allow_ips="",
        ws_max_size=ws_max_size,
        ws_per_message_deflate=deflate,
        lifespan="off" if state is None else "on",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # pyright: ignore[reportAttributeAccessIssue] - pytest keeps its own
    task = asyncio.create_task(server.serve())
    try:
        while not server.started:
            await asyncio.sleep(0.005)
        yield port
    finally:
        server.should_exit = True
        await task


def _with_state(app: ASGIApp, state: dict[str, Any]) -> ASGIApp:
    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return
        await receive()
        scope["state"].update(state)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

    return served
