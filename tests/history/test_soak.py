"""What ``make soak`` calls growth."""

from __future__ import annotations

import pytest

from history.usage import COUNT, MEMORY, Samples
from history.watched import in_use


def samples(values: list[float]) -> Samples:
    """One measure, over time."""
    return Samples({("server: memory", MEMORY): value} for value in values)


@pytest.mark.parametrize(
    ("values", "grew"),
    [
        ([100.0] * 30, False),
        ([50.0 + n for n in range(10)] + [100.0] * 20, False),  # caches that fill in the first third
        ([100.0 + n for n in range(30)], True),
        ([100.0] * 20 + [200.0] + [100.0] * 9, False),  # one moment
        ([100.0] * 20 + [110.0] * 10, True),
        ([100.0] * 20 + [90.0] * 10, False),
    ],
)
def test_growth_is_told_from_noise(values: list[float], *, grew: bool) -> None:
    """The last third is compared with the middle one, by what it was at most moments."""
    (row,) = samples(values).rows()
    assert row.grew is grew
    assert ("GREW" in str(row)) is grew


def test_what_is_not_always_there_counts_where_it_is() -> None:
    """A worker that came later has no first third."""
    late = Samples([*({} for _ in range(10)), *({("worker: threads", COUNT): 6.0} for _ in range(20))])
    (row,) = late.rows()
    assert row.thirds == (0.0, 6.0, 6.0)
    assert not row.grew


def test_what_a_new_server_used_is_told_and_does_not_count() -> None:
    """Caches were filled since; what was not there at first has an empty cell."""
    seen = samples([200.0] * 30)
    assert str(seen.rows()[0]).startswith("| server: memory |  | 200.0 MiB |")
    seen.before = {("server: memory", MEMORY): 100.0}
    (row,) = seen.rows()
    assert str(row).startswith("| server: memory | 100.0 MiB | 200.0 MiB |")
    assert not row.grew


def test_what_is_kept_is_in_use_and_what_is_freed_is_not() -> None:
    """Small objects are blocks, larger ones bytes; both go down again when they are let go."""
    before = in_use()
    small, large = [object() for _ in range(50_000)], [bytearray(1 << 16) for _ in range(200)]
    kept = in_use()
    assert kept["blocks"] - before["blocks"] > 49_000
    assert kept["bytes"] - before["bytes"] > 12 << 20
    del small, large
    after = in_use()
    assert after["blocks"] - before["blocks"] < 10_000
    assert after["bytes"] - before["bytes"] < 4 << 20
