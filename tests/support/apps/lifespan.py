"""An application between its startup and its shutdown, in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgi_lifespan import LifespanManager

from harness.waiting import HANG

if TYPE_CHECKING:
    from starlette.types import ASGIApp


class Lifespan(LifespanManager):
    """Starts `app` and stops it in the end, however long a busy machine takes for either."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(app, startup_timeout=HANG, shutdown_timeout=HANG)
