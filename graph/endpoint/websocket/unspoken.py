"""The answer to a WebSocket whose client speaks no protocol that is served."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Receive, Send


async def refuse_socket(receive: Receive, send: Send) -> None:
    """Accept a socket and close it with 4406: of one that is not accepted a client sees no code, and tries again."""
    if (await receive())["type"] != "websocket.connect":
        return
    await send({"type": "websocket.accept"})
    with contextlib.suppress(Exception):  # the client may be gone already
        await send({"type": "websocket.close", "code": 4406, "reason": "Subprotocol not acceptable"})
