"""Serves an application of a benchmark with the connections of ``graph serve``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import uvicorn

from graph.server import WebSocketConnection

if TYPE_CHECKING:
    from starlette.types import ASGIApp


def serve(app: ASGIApp, port: int) -> None:
    """Serve `app` on 127.0.0.1 until the process is ended."""
    uvicorn.run(
        app,
        port=port,
        loop="uvloop",
        http="httptools",
        ws=WebSocketConnection,
        access_log=False,
        ws_per_message_deflate=False,
        ws_ping_interval=600,
        log_level="warning",
        timeout_graceful_shutdown=1,
    )
