"""An endpoint that is served as `graph serve` does it, its requests recognised before they are parsed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graph.endpoint.kept import EXPRESS, Errand
from graph.server.http_express import HttpProtocol
from tests.support.apps.serving import serving

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    import pytest

    from tests.support.apps.answers import AnswersApp


def recognising(app: AnswersApp) -> AbstractAsyncContextManager[int]:
    """Serve `app`, its express known to the protocol, and give its port."""
    return serving(app.endpoint, http=HttpProtocol, state={EXPRESS: app.endpoint.express})


def performed_by(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The status of each request that is executed without parser and application from now on."""
    made: list[int] = []
    ended = Errand.ended

    def noting(self: Errand, status: int, facts: dict[str, Any]) -> None:
        made.append(status)
        ended(self, status, facts)

    monkeypatch.setattr(Errand, "ended", noting)
    return made
