"""Keys of `cached` made of a template."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import pytest

from graph.library import Redis, cached
from graph.library.key_template import KeyTemplate

if TYPE_CHECKING:
    from harness.valkey import ValkeyServer

VALUES: list[Any] = [
    *(
        "",
        "x",
        "x:y",
        "y:z",
        "z",
        ":",
        "%3A",
        "%",
        "1",
        "None",
        "True",
        "5",
        "32",
        "%32",
        "-1",
        "1:",
        "{",
        "nan",
        "an",
        "é",
    ),
    *(1, 2, -1, 1.5, 2.5, None, True),
]


@pytest.mark.parametrize(
    "template",
    [
        "{a}:{b}",
        "{a}{b}",
        "k{a}2{b}",
        "{a}.{b}",
        "{a}and{b}",
        "{a}::{b}x",
        "{a}{{{b}",
        "{a}%{b}",
        "{a}-{b}",
        "{a!r}{b!s}",
    ],
)
def test_arguments_that_differ_have_keys_that_differ(template: str) -> None:
    """Whatever is in them, and whatever stands between them."""
    of = KeyTemplate(template)
    pairs = list(product(VALUES, VALUES))
    keys = {of.format({"a": a, "b": b}) for a, b in pairs}
    assert len(keys) == len(pairs)


def test_simple_keys_are_what_the_template_says() -> None:
    """Nothing is encoded that cannot be mistaken."""
    assert KeyTemplate("recipe:{number}").format({"number": 5}) == "recipe:5"
    assert KeyTemplate("{a}:of:{b:>3}!").format({"a": "an egg/2", "b": 7}) == "an egg/2:of:  7!"
    assert KeyTemplate("{{all}}").format({}) == "{all}"


async def test_nobody_gets_what_was_kept_for_other_arguments(valkey: ValkeyServer) -> None:
    """Two calls whose texts are the same side by side are two values."""
    async with Redis(valkey.url, prefix="templates") as redis:

        @cached(redis, ttl=3600, tags="{a}", key="{a}:{b}")
        async def load(a: str | None, b: str) -> list[str | None]:
            return [a, b]

        for given in (("x:y", "z"), ("x", "y:z"), (None, "1"), ("None", "1")) * 2:
            assert await load(*given) == list(given)
