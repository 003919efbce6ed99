"""Reads the price of a row: regular, lower for a time, former; with its currency.

Values that cannot be accepted raise `graph.errors.Invalid` with the field and a sentence; odd ones are noted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

from graph.catalog.importing import numbers, terms
from graph.catalog.importing.headers import PRICES
from graph.catalog.importing.numbers import DecimalMark
from graph.catalog.importing.objects import plain
from graph.catalog.records import decimals_of
from graph.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Callable

    from graph.catalog import writing
    from graph.catalog.importing.formats.base import KnownFormat

Note: TypeAlias = "Callable[[str, str, Any], None]"
"""Called with a remark on an accepted row: the reason, the field, the value."""

_LOWER = frozenset(("salePrice", "reduction", "reductionPercent"))
_ROUNDED = 3
"""With this many decimals, an amount may have a thousands separator; with more, it was calculated."""


def _ignored(reason: str, name: str, value: Any) -> None:
    """Ignore a note."""


@dataclass(slots=True)
class PriceReading:
    """How a file's prices are read: the format, the decimal marks of the columns, the defaults."""

    known: KnownFormat
    meanings: frozenset[str] | set[str]
    currency: str = "USD"
    marks: dict[str, DecimalMark] = field(default_factory=dict[str, DecimalMark])
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    note: Note = _ignored
    defaulted: frozenset[str] = frozenset()
    """Values by meaning that apply to rows where the file has none."""

    def _amount(self, told: dict[str, Any], name: str, currency: str) -> tuple[Decimal, str] | None:
        if (value := told.get(name)) is None:
            return None
        try:
            amount, own = numbers.amount(value, self.marks.get(name, DecimalMark.UNKNOWN), currency)
        except numbers.NotANumber as error:
            raise Invalid(name, str(error)) from None
        if "minorUnits" in told:
            return amount.scaleb(-decimals_of(currency)), own or currency
        return self._rounded(amount, own or currency, name, value), own or currency

    def _rounded(self, amount: Decimal, currency: str, name: str, value: Any) -> Decimal:
        exponent = amount.as_tuple().exponent
        if not isinstance(exponent, int) or -exponent <= _ROUNDED or self.known.exact:
            return amount
        rounded = amount.quantize(Decimal(1).scaleb(-decimals_of(currency)), ROUND_HALF_UP)
        if rounded != amount:
            self.note("A price with more decimals than its currency has was rounded.", name, value)
        return rounded

    def _price(self, told: dict[str, Any], changes: writing.ProductChanges) -> None:
        if not any(name in told for name in PRICES):
            if "currency" in told and "currency" not in self.defaulted:
                raise Invalid("price", "A currency needs a price.")
            return
        usual = plain(told.get("currency")).upper() or self.currency
        price = self._amount(told, "price", usual)
        usual = price[1] if price is not None else usual
        regular = self._amount(told, "regularPrice", usual)
        compare = self._amount(told, "compareAtPrice", usual)
        former = [amount for amount in (regular, compare) if amount is not None]
        price = price or regular
        if "priceChange" in told and price is not None:
            price = self._changed(told, price)
        sale = self._sale(told, price, usual) if self._on_sale(told) else None
        if sale is not None and sale[0] > 0:
            if price is None or sale[0] < price[0]:
                former += [price] if price is not None else []
                price = sale
            elif sale[0] > price[0]:
                self.note("A sale price that is not lower than the price was left out.", "salePrice", told["salePrice"])
        if price is None:
            return
        changes["price"] = price
        if any(name in self.meanings for name in (*PRICES[1:], *_LOWER)):
            changes["compare_at_price"] = self._former(former, price)

    def _sale(self, told: dict[str, Any], price: tuple[Decimal, str] | None, usual: str) -> tuple[Decimal, str] | None:
        """Return the lower price: as it is given, or as the price less a reduction."""
        sale = self._amount(told, "salePrice", usual)
        if sale is not None or price is None:
            return sale
        if plain(told.get("reductionKind")).upper().startswith("PERCENT"):
            told = {**told, "reductionPercent": told.get("reduction"), "reduction": None}
        amount, percent = self._amount(told, "reduction", usual), self._amount(told, "reductionPercent", usual)
        reduced = price[0] - (amount[0] if amount else 0) if amount else price[0]
        if percent is not None:
            reduced -= price[0] * percent[0] / 100
        if reduced >= price[0]:
            return None
        return reduced.quantize(Decimal(1).scaleb(-decimals_of(price[1])), ROUND_HALF_UP), price[1]

    def _former(self, amounts: list[tuple[Decimal, str]], price: tuple[Decimal, str]) -> Decimal | None:
        found = [amount for amount, currency in amounts if currency == price[1] and amount > price[0]]
        if any(currency != price[1] for _, currency in amounts):
            self.note("A former price in another currency was left out.", "compareAtPrice", "")
        return max(found, default=None)

    def _changed(self, told: dict[str, Any], by: tuple[Decimal, str]) -> tuple[Decimal, str]:
        """Return a variant's price that is given as a change of its product's price."""
        if (how := told["priceChange"]) == "FIXED":
            return by
        try:
            base, _ = numbers.amount(told.get("basePrice"), self.marks.get("price", DecimalMark.UNKNOWN), by[1])
        except numbers.NotANumber as error:
            raise Invalid("price", str(error)) from None
        change = {"ADD": by[0], "REMOVE": -by[0], "PERCENT": base * by[0] / 100}.get(how)
        if change is None:
            raise Invalid("price", f"[{how}] is no known change of a price.")
        return (base + change).quantize(Decimal(1).scaleb(-decimals_of(by[1])), ROUND_HALF_UP), by[1]

    def _on_sale(self, told: dict[str, Any]) -> bool:
        """Whether the sale price applies now; one with unreadable dates does not."""
        if _LOWER.isdisjoint(told) or numbers.truth(told.get("onSale")) is False:
            return False
        if dates := plain(told.get("saleDates")):
            first, _, last = dates.partition("/")
            told = told | {"saleFrom": first.strip(), "saleTo": last.strip()}
        for name, sign in (("saleFrom", 1), ("saleTo", -1)):
            if told.get(name):
                moment = terms.moment(told[name], self.known.dates, end=sign < 0)
                if moment is None:
                    self.note(
                        "A sale price whose dates cannot be read (write 2026-01-31) was left out.", name, told[name]
                    )
                    return False
                if (moment - self.now).total_seconds() * sign > 0:
                    return False
        return True
