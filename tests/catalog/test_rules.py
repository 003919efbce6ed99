"""What a product may be."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.catalog import rules, writing
from graph.catalog.records import SCALE, decimal_of
from graph.errors import Invalid
from tests.support.apps.products import new


@pytest.mark.parametrize(
    ("told", "field"),
    [
        ({"sku": ""}, "sku"),
        ({"sku": "  "}, "sku"),
        ({"sku": "a" * 65}, "sku"),
        ({"sku": "two  spaces"}, "sku"),
        ({"sku": "A,B"}, "sku"),
        ({"sku": "-A"}, "sku"),
        ({"sku": "nul\0"}, "sku"),
        ({"sku": "li\u2028ne"}, "sku"),
        ({"name": ""}, "name"),
        ({"name": "\u2003"}, "name"),
        ({"name": "a" * 201}, "name"),
        ({"name": "two\nlines"}, "name"),
        ({"name": "nul\0"}, "name"),
        ({"name": "half \ud800 a character"}, "name"),
        ({"description": "a" * 10_001}, "description"),
        ({"description": "bell\a"}, "description"),
        ({"amount": Decimal("-0.01")}, "price.amount"),
        ({"amount": Decimal("NaN")}, "price.amount"),
        ({"amount": Decimal("Infinity")}, "price.amount"),
        ({"amount": Decimal("1e12")}, "price.amount"),
        ({"amount": Decimal("0.001")}, "price.amount"),
        ({"amount": Decimal("0.5"), "currency": "JPY"}, "price.amount"),
        ({"currency": "usd"}, "price.currency"),
        ({"currency": "ÄÖÜ"}, "price.currency"),
        ({"stock": -1}, "stock"),
        ({"stock": 2**31}, "stock"),
    ],
)
def test_what_is_refused(told: dict[str, Any], field: str) -> None:
    """A value that breaks a rule is refused under the name that the API has for it."""
    with pytest.raises(Invalid) as refused:
        writing.row_of(new(**{"sku": "A-1", **told}))
    assert refused.value.field == field
    assert refused.value.message.endswith(".")


def test_what_is_kept() -> None:
    """Text is trimmed and composed, line ends are made alike, and the price keeps every decimal."""
    row = writing.row_of(
        new(" A/1_b.c-d ", name=" Cafe\u0301 ", description="one\r\n\ttwo ", amount=Decimal("1.234"), currency="KWD")
    )
    assert row["sku"] == "A/1_b.c-d"
    assert row["name"] == "Café"
    assert row["description"] == "one\n\ttwo"
    assert (row["price"], row["currency"]) == (12340, "KWD")


@given(st.decimals(0, 10**12 - 1, places=2), st.sampled_from(["USD", "KWD", "CLF"]))
def test_a_price_survives_its_storage(amount: Decimal, currency: str) -> None:
    """What is stored as a whole number comes back as the same decimal."""
    stored = rules.check_price(amount, currency)
    assert stored == int(amount * 10**SCALE)
    assert decimal_of(stored, currency) == amount


@given(st.text(max_size=300))
def test_words_are_safe_to_index_and_to_ask_for(text: str) -> None:
    """Whatever the text, its words hold nothing but letters and digits, so they need no quoting in any engine."""
    for word in rules.words(text):
        assert 0 < len(word) <= rules.MAX_WORD
        assert word.isalnum()
        assert rules.is_storable(word)


def test_words_fold() -> None:
    """Case, accents and width do not matter; a word is a run of letters and digits."""
    assert rules.words("Crème-BRÛLÉE \uff57\uff49\uff44\uff45_x2 ß 'tis") == [
        "creme",
        "brulee",
        "wide",
        "x2",
        "ss",
        "tis",
    ]
