"""Copies in this process: within their bound, and none that nobody can get any more."""

from __future__ import annotations

from graph.patterns.cache.local_copies import KNOWN, TAGS, Copy, LocalCopies, Recent


def _copy(expires: float, size: int = 100) -> Copy:
    return Copy(b"stamp", expires, 0.1, b"x" * size, size)


def test_what_expired_is_dropped_without_being_asked_for() -> None:
    """Ten thousand clients who each ask once leave the copies of the last minute, whatever room there is."""
    copies = LocalCopies(16 << 20, factor=1)
    for second in range(10_000):
        copies.put(f"answer {second}", _copy(second + 60.0), float(second))
        assert copies.get("used", second) is not None or not second
        if not second % 30:
            copies.put("used", _copy(second + 60.0), float(second))
        assert len(copies) <= 122  # what is used stands behind those that came before its last use
    assert copies.get("answer 9941", 9999.0) is not None


def test_the_least_recently_used_is_dropped_where_there_is_no_room() -> None:
    """The bound holds, whatever expires when; what is larger than all of it is not kept."""
    copies = LocalCopies(7_000, factor=1)
    for number in range(20):
        copies.put(f"{number}", _copy(1000.0 - number), 0.0)
        assert copies.get("0", 0.0) is not None
        assert copies.size <= 7_000
    assert len(copies) == 10
    copies.put("large", _copy(1000.0, 7_000), 0.0)
    assert copies.get("large", 0.0) is None
    assert len(copies) == 10


def test_what_was_put_longest_ago_is_forgotten_first() -> None:
    """Keys are bounded; one that is put again is as good as new."""
    known: Recent[int] = Recent()
    for number in range(KNOWN):
        known.put(str(number), number)
    known.put("0", -1)
    known.put("new", 0)
    assert (known.get("0"), known.get("1"), known.get("2")) == (-1, None, 2)
    assert len(known) == KNOWN


def test_tags_are_bounded_too() -> None:
    """Answers that depend on much are remembered for fewer keys; what is dropped gives its room back."""
    known: Recent[tuple[str, ...]] = Recent(len)
    many = ("tag",) * (TAGS // 4)
    for key in "abcd":
        known.put(key, many)
    assert "a" in known
    known.put("d", ("tag",))
    known.put("e", many[1:])
    assert "a" in known
    known.put("f", ("tag",))
    assert ["a" in known, "b" in known, "f" in known] == [False, True, True]
    for key in "bcdef":
        known.drop(key)
    assert (len(known), known.weight) == (0, 0)
    known.put("huge", many * 5)
    assert "huge" in known
