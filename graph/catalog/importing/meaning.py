"""Turns the values of a row into a product: price, stock, category and the rest.

A blank value counts as absent. Odd but readable values are accepted with a note (`prices.Note`); values that cannot be
accepted raise `graph.errors.Invalid` with the field and a sentence.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from graph.catalog import details, rules, writing
from graph.catalog.importing import numbers, terms
from graph.catalog.importing.bulk import ImportedProduct
from graph.catalog.importing.numbers import DecimalMark
from graph.catalog.importing.objects import plain
from graph.catalog.importing.prices import PriceReading
from graph.catalog.importing.texts import plain_text
from graph.errors import Invalid

_UNTRACKED = ("none", "no", "false", "0", "off", "n")
_EXCEL = re.compile(r'="(.*)"')
_DETAILS = frozenset(
    (
        *("brand", "groupId", "options", "attributes", "tags", "gtin", "images"),
        *(f"{kind}Name{number}" for kind in ("option", "attribute") for number in ("", *range(1, 100))),
    )
)


@dataclass(slots=True)
class Reading(PriceReading):
    """How a file's rows are read."""

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
        if "active" in told or "status" in told or "hidden" in told:
            self._active(told, changes)
        if not _DETAILS.isdisjoint(told):
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
        if amount > rules.MAX_STOCK:  # before an exponent is written out, with a billion zeros
            raise Invalid("stock", f"A stock is from 0 to {rules.MAX_STOCK:,}.")
        pieces = int(amount)
        if pieces != amount:
            self.note("A stock with decimals was rounded down.", "stock", value)
        return pieces

    def _active(self, told: dict[str, Any], changes: writing.ProductChanges) -> None:
        said = told.get("active")
        shown = True
        if said is None and (hidden := numbers.truth(told.get("hidden"))) is not None:
            said = not hidden
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
