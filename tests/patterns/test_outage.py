"""What is told of something that comes and goes: a few lines, and in the end how it is."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from graph.patterns import outage
from graph.patterns.outage import LINES, Outage
from harness.waiting import until

if TYPE_CHECKING:
    import pytest

_log = logging.getLogger("tests.outage")


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The lines of the log."""
    return [record.getMessage() for record in caplog.records if record.name == _log.name]


def flap(what: Outage, times: int) -> None:
    """Let it go away and come back."""
    for _ in range(times):
        what.began("no answer")
        what.ended()


async def test_each_change_is_a_line_while_there_are_few(caplog: pytest.LogCaptureFixture) -> None:
    """Another failure of the same kind is none; another kind is one."""
    service = Outage("it is away", "it is back", _log)
    service.began("refused")
    service.began("no answer")
    service.began("full", kind="memory")
    service.ended()
    service.ended()
    assert told(caplog) == ["it is away: refused", "it is away: full", "it is back"]
    service.close()
    assert len(told(caplog)) == 3


async def test_what_comes_and_goes_is_a_few_lines_and_its_last_state_when_it_is_closed(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand changes within the time for `LINES` of them."""
    monkeypatch.setattr(outage, "WINDOW", 1e6)
    service = Outage("it is away", "it is back", _log)
    flap(service, 500)
    service.began("no answer")
    assert told(caplog) == ["it is away: no answer", "it is back"] * (LINES // 2)
    service.close()
    assert told(caplog)[LINES:] == [f"it is away: no answer (the last of {1001 - LINES:,} such changes)"]


async def test_the_last_state_is_told_when_there_may_be_another_line(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though nothing changes any more; and then as many lines are free again as there are in any other such time."""
    monkeypatch.setattr(outage, "WINDOW", 0.3)
    service = Outage("it is away", "it is back", _log)
    flap(service, 50)
    service.began("full", kind="memory")
    await until(lambda: told(caplog)[-1].startswith("it is away: full"))
    assert len(told(caplog)) > LINES
    service.close()
