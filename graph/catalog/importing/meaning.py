"""Turns the values of a row into a product: price, stock, category and the rest.

A blank value counts as absent. Odd but readable values are accepted with a note (`Note`); values that cannot be
accepted raise `graph.errors.Invalid` with the field and a sentence.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

from graph.catalog import details, rules, writing
from graph.catalog.importing import numbers, terms
from graph.catalog.importing.bulk import ImportedProduct
from graph.catalog.importing.mapping import plain
from graph.catalog.importing.numbers import DecimalMark
from graph.catalog.importing.texts import plain_text
from graph.catalog.records import decimals_of
from graph.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Callable

    from graph.catalog.importing.formats.base import KnownFormat

Note: TypeAlias = "Callable[[str, str, Any], None]"
"""Called with a remark on an accepted row: the reason, the field, the value."""

PRICES = ("price", "salePrice", "regularPrice", "compareAtPrice")
_UNTRACKED = ("none", "no", "false", "0", "off", "n")
_EXCEL = re.compile(r'="(.*)"')
_ROUNDED = 3
"""With this many decimals, an amount may have a thousands separator; with more, it was calculated."""


def _ignored(reason: str, name: str, value: Any) -> None:
    """Ignore a note."""


@dataclass(slots=True)
class Reading:
    """How a file's rows are read: the format, the decimal marks of the columns, the defaults."""

    known: KnownFormat
    meanings: frozenset[str] | set[str]
    currency: str = "USD"
    marks: dict[str, DecimalMark] = field(default_factory=dict[str, DecimalMark])
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    note: Note = _ignored
    defaulted: frozenset[str] = frozenset()
    """Values by meaning that apply to rows where the file has none."""

    def change_of(self, told: dict[str, Any]) -> ImportedProduct:
        """Return the product that a row describes; raises `Invalid`."""
        changes: writing.ProductChanges = {}
        sku = self._sku(told)
        if (name := told.get("name")) is not None:
            changes["name"] = self._name(name)
        if "description" in told or "shortDescription" in told:
            text = told.get("description")
            changes["description"] = self._description(text if text is not None else told.get("shortDescription"))
        self._price(told, changes)
        self._stock(told, changes)
        if "active" in told or "status" in told:
            self._active(told, changes)
        if len(told) > len(changes):
            self._details(told, changes)
        path, slug = terms.shelf(self.known, told.get("category"))
        return ImportedProduct(sku, writing.checked(changes), slug, "category" in told, path)

    # --- identity ---

    def _sku(self, told: dict[str, Any]) -> str:
        value = told.get("sku")
        if type(value) is str and value[:1] not in "'=":
            return rules.check_sku(value)
        for meaning in ("sku", "handle", "id"):
            value = told.get(meaning)
            if isinstance(value, (dict, list, bool, Decimal)):
                raise Invalid("sku", "sku must be text.")
            if text := _bare(plain(value)):
                return rules.check_sku(text)
        raise Invalid("sku", "A sku is needed, or an id or handle to make one of.")

    def _name(self, value: Any) -> str:
        text = _text(value, "name")
        return text if self.known.exact else " ".join(plain_text(text).split())

    def _description(self, value: Any) -> str:
        text = "" if value is None else _text(value, "description")
        if self.known.exact:
            return text
        if self.known.escapes:
            text = text.replace("\\n", "\n")
        return plain_text(text)

    # --- price ---

    def _amount(self, told: dict[str, Any], name: str, currency: str) -> tuple[Decimal, str] | None:
        if (value := told.get(name)) is None:
            return None
        try:
            amount, own = numbers.amount(value, self.marks.get(name, DecimalMark.UNKNOWN), currency)
        except numbers.NotANumber as error:
            raise Invalid(name, str(error)) from None
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
        sale = self._amount(told, "salePrice", usual) if self._on_sale(told) else None
        if sale is not None and sale[0] > 0:
            if price is None or sale[0] < price[0]:
                former += [price] if price is not None else []
                price = sale
            elif sale[0] > price[0]:
                self.note("A sale price that is not lower than the price was left out.", "salePrice", told["salePrice"])
        if price is None:
            return
        changes["price"] = price
        if any(name in self.meanings for name in PRICES[1:]):
            changes["compare_at_price"] = self._former(former, price)

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
        if "salePrice" not in told:
            return False
        for name, sign in (("saleFrom", 1), ("saleTo", -1)):
            if told.get(name):
                moment = terms.moment(told[name], end=sign < 0)
                if moment is None:
                    self.note(
                        "A sale price whose dates cannot be read (write 2026-01-31) was left out.", name, told[name]
                    )
                    return False
                if (moment - self.now).total_seconds() * sign > 0:
                    return False
        return True

    # --- availability ---

    def _stock(self, told: dict[str, Any], changes: writing.ProductChanges) -> None:
        meanings = self.meanings
        if "stock" not in meanings and "inStock" not in meanings and "tracked" not in meanings:
            return
        said = told.get("inStock")
        there = numbers.available(said) if said is not None else None
        if said is not None and there is None:
            self.note("A word for availability that is not known was left out.", "inStock", said)
        tracked = told.get("tracked")
        if "tracked" in meanings and not self._is_tracked(tracked):
            changes["stock"], changes["in_stock"] = None, there is not False
            return
        value = told.get("stock")
        if value is None:
            if "stock" in told and self.known.name in ("plain", "graph"):  # null in JSON
                changes["stock"] = None
            if there is not None:
                changes["in_stock"] = there
                if "stock" in meanings:
                    changes["stock"] = None
            return
        try:
            amount = numbers.count(value, self.marks.get("stock", DecimalMark.UNKNOWN))
        except numbers.NotANumber as error:
            word = numbers.availability(value) if type(value) is str else None
            if word is None:
                raise Invalid("stock", str(error)) from None
            changes["stock"], changes["in_stock"] = None, word
            return
        pieces = self._pieces(amount, value)
        changes["stock"] = pieces
        backorder = plain(told.get("backorder")).lower()
        sold_beyond = backorder in ("continue", "notify") or numbers.truth(backorder) is True
        changes["in_stock"] = there if there is not None else pieces > 0 or sold_beyond

    def _is_tracked(self, value: Any) -> bool:
        if value is None:
            return self.known.name != "shopify"  # some exports omit it in rows that inherit it
        return plain(value).lower() not in _UNTRACKED

    def _pieces(self, amount: Decimal, value: Any) -> int:
        if not amount.is_finite():
            raise Invalid("stock", "A stock is a whole number.")
        if amount < 0:
            self.note("A negative stock was taken as 0.", "stock", value)
            return 0
        pieces = int(amount)
        if pieces != amount:
            self.note("A stock with decimals was rounded down.", "stock", value)
        return pieces

    def _active(self, told: dict[str, Any], changes: writing.ProductChanges) -> None:
        said = told.get("active")
        shown = True
        if said is not None:
            truth = numbers.truth(said)
            if truth is None:
                raise Invalid("active", "active is true or false.")
            shown = truth
        elif "status" not in told:
            return
        if (status := told.get("status")) is not None:
            truth = numbers.truth(status)
            if truth is None:
                self.note("A status that is not known was left out.", "status", status)
                if said is None:
                    return
            shown = shown and truth is not False
        changes["active"] = shown

    # --- the rest ---

    def _details(self, told: dict[str, Any], changes: writing.ProductChanges) -> None:
        if "brand" in told:
            changes["brand"] = plain(told["brand"]) or None
        if "groupId" in told:
            changes["group_id"] = plain(told["groupId"]) or None
        options, attributes = terms.numbered(told)
        attributes += [["tag", one] for one in terms.tags(told.get("tags"))]
        if "gtin" in told:
            attributes += self._gtin(told["gtin"], changes)
        if options or "options" in told:
            changes["options"] = self._pairs(options, "options")
        if attributes or "attributes" in told:
            changes["attributes"] = self._pairs(attributes, "attributes")
        if "images" in told:
            changes["images"] = self._images(told["images"])

    def _gtin(self, value: Any, changes: writing.ProductChanges) -> list[list[str]]:
        """Accept a GTIN; a number that is not one becomes an attribute."""
        digits = "".join(character for character in _bare(plain(value)) if character not in " -\u00a0")
        changes["gtin"] = digits if details.is_gtin(digits) else None
        if not digits or changes["gtin"] is not None:
            return []
        self.note("A barcode that is no GTIN became an attribute.", "gtin", value)
        return [["barcode", digits]]

    def _pairs(self, told: list[Any], field: str) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        for pair in told:
            name, value = " ".join(str(pair[0]).split()), str(pair[1]).strip()
            if not self.known.exact:
                value = " ".join(plain_text(value).split())
            if not name or not value:
                continue
            if len(name) > details.MAX_TERM or len(value) > details.MAX_VALUE:
                self.note(f"One of the {field} that is too long was left out.", field, f"{name}={value}"[:100])
                continue
            found.append((name, value))
        most = details.MAX_OPTIONS if field == "options" else details.MAX_ATTRIBUTES
        if len(found) > most:
            self.note(f"Of more than {most} {field} the first ones were taken.", field, "")
        return found[:most]

    def _images(self, told: list[Any]) -> list[tuple[str, str | None]]:
        found: list[tuple[str, str | None]] = []
        for url, alt in told:
            address = str(url).strip().replace(" ", "%20")
            if not details.is_address(address):
                self.note("An image without a proper address was left out.", "images", url)
                continue
            text = None if alt is None else " ".join(str(alt).split())[: details.MAX_VALUE] or None
            found.append((address, text))
        return found[: details.MAX_IMAGES]


def _text(value: Any, name: str) -> str:
    if isinstance(value, str):
        return value
    raise Invalid(name, f"{name} must be text.")


def _bare(text: str) -> str:
    """Return a number without the characters that keep a spreadsheet from changing it."""
    if (formula := _EXCEL.fullmatch(text)) is not None:
        text = formula.group(1)
    return text.lstrip("'").strip()
