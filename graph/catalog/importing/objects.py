"""Brings JSON objects of shops and APIs into one form: fields by their path, an object for each variant.

Pages of GraphQL (``{"edges": [{"node": …}]}``) become lists. Lists of codes and values become fields (Magento's
``custom_attributes``). Of several offers or prices the first one counts.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from graph.catalog.importing.problems import Problem, Row, as_list, as_object
from graph.catalog.importing.texts import slug_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_DEEPEST = 6
_ALTERNATIVES = ("offers", "prices")
_OF_PRODUCT = frozenset(("title", "name", "product_id", "created_at", "updated_at", "position", "featured_image"))
_OF_VARIANT = frozenset(("options", "selectedOptions", "image_id", "image"))
_MOST_FIELDS = 200_000
_MOST_DIGITS = 20
_ADDRESSES = ("url", "src", "href", "link", "original", "contentUrl", "file")


def plain(value: Any) -> str:
    """Return a scalar as text; an empty text for anything else."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (int, Decimal)) else ""


def address_of(fields: Mapping[str, Any]) -> str | None:
    """Return the address of a picture that is an object."""
    url = next((fields[name] for name in _ADDRESSES if fields.get(name)), None)
    return url.strip() if isinstance(url, str) else None


def flat(fields: Mapping[str, Any], within: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Yield the fields of an object by their path; lists stay lists."""
    for name, value in fields.items():
        path = f"{within}{name}"
        if depth < _DEEPEST and (inner := as_object(value)) is not None:
            yield from flat(inner, f"{path}.", depth + 1)
        else:
            yield path, value


def opened(fields: dict[str, Any], depth: int = 0) -> dict[str, Any]:
    """Return an object with its pages, lists of codes and alternatives resolved."""
    if not any(isinstance(value, (dict, list)) for value in fields.values()):
        return _money(fields)
    found: dict[str, Any] = {}
    for name, value in (fields if depth else _current(fields)).items():
        one: Any = _opened(value, depth + 1)
        if name in _ALTERNATIVES and (several := as_list(one)):
            one = several[0]
        found[name] = one
    return found


def _current(fields: dict[str, Any]) -> dict[str, Any]:
    """Return a product of commercetools as it is now, with its first variant among the others."""
    data = as_object(fields.get("masterData")) or {}
    if (current := as_object(data.get("current"))) is not None:
        fields = {"id": fields.get("id"), "published": data.get("published"), **current}
    if (first := as_object(fields.get("masterVariant"))) is not None:
        variants = [first, *(as_list(fields.get("variants")) or ())]
        fields = {name: value for name, value in fields.items() if name != "masterVariant"} | {"variants": variants}
    return fields


def _money(fields: dict[str, Any]) -> dict[str, Any]:
    """Return an amount in a currency's smallest unit as one in its unit."""
    cents, digits = fields.get("centAmount"), fields.get("fractionDigits", 2)
    if type(cents) is not int or type(digits) is not int or not 0 <= digits <= _MOST_DIGITS:
        return fields
    return {**fields, "amount": Decimal(cents).scaleb(-digits)}


def _opened(value: Any, depth: int) -> Any:
    items, fields = as_list(value), as_object(value)
    if fields is not None:
        edges = as_list(fields.get("edges"))
        items = as_list(fields.get("nodes")) if edges is None else [(as_object(e) or {}).get("node", e) for e in edges]
    if depth > _DEEPEST or (items is None and fields is None):
        return value
    if items is None:
        return opened(fields or {}, depth)
    found = [_opened(item, depth + 1) if isinstance(item, dict) else item for item in items]
    codes = [as_object(item) or {} for item in found]
    if codes and all("attribute_code" in code and "value" in code for code in codes):
        return {plain(code["attribute_code"]): code["value"] for code in codes}
    return found


# --- variants ---


def bounded(rows: Iterator[Row | Problem]) -> Iterator[Row | Problem]:
    """Yield `rows`, a problem for one with so many variants that each repeats too many fields of the product."""
    for row in rows:
        if isinstance(row, Row) and row.fields is not None:
            told = row.fields.get("variants")
            lists = [told] if (pages := as_object(told)) is None else list(pages.values())
            count = max((len(as_list(one) or ()) for one in lists), default=0)
            if count * len(row.fields) > _MOST_FIELDS:
                yield Problem(row.line, "It has too many variants for so many fields.")
                continue
        yield row


def variants(fields: dict[str, Any]) -> Iterable[dict[str, Any]]:
    """Return the object, or one for each of its ``variants`` (a form that Shopify and many APIs use)."""
    found = [one for one in map(as_object, as_list(fields.get("variants")) or ()) if one is not None]
    if not found:
        return (fields,)
    base = {name: value for name, value in fields.items() if name not in ("variants", "options")}
    names = [_name(one) for one in as_list(fields.get("options")) or ()]
    group = next((plain(fields[name]) for name in ("handle", "slug", "sku", "id") if plain(fields.get(name))), None)
    return [_variant(base, one, names, group, alone=len(found) == 1) for one in found]


def _name(option: Any) -> str:
    fields = as_object(option)
    return plain(option) if fields is None else plain(fields.get("name") or fields.get("title"))


def _variant(
    base: dict[str, Any], variant: dict[str, Any], names: list[str], group: str | None, *, alone: bool
) -> dict[str, Any]:
    left_out = _OF_PRODUCT | _OF_VARIANT
    own = {name: value for name, value in variant.items() if value not in (None, "") and name not in left_out}
    values = [plain(own.pop(f"option{number}", "")) for number in (1, 2, 3)]
    pairs = [[name, value] for name, value in zip(names, values, strict=False) if name and value]
    pairs = pairs or _chosen(variant)
    if "inventory_management" in variant and variant["inventory_management"] is None:
        own["tracked"] = False  # Shopify does not count it
    one = base | own
    if pictures := _pictures(base, variant):
        one["images"] = pictures
    if alone and [value for _, value in pairs] in ([], ["Default Title"]):
        return one
    if "sku" not in own and group:
        one["sku"] = slug_of((group, *(value for _, value in pairs))) if pairs else plain(own.get("id")) or group
    one["groupId"] = group
    if pairs:
        one["options"] = pairs
    return one


def _chosen(variant: dict[str, Any]) -> list[list[str]]:
    """Return the options of a variant that has them itself: a list of names and values, or an object."""
    told = variant.get("selectedOptions") or variant.get("options")
    if (fields := as_object(told)) is not None:
        return [[name, text] for name, value in fields.items() if (text := plain(value))]
    found: list[list[str]] = []
    for one in map(as_object, as_list(told) or ()):
        if one is not None:
            name = _name(one.get("option")) or _name(one)
            found += [[name, text]] if name and (text := plain(one.get("value"))) else []
    return found


def _pictures(base: dict[str, Any], variant: dict[str, Any]) -> list[Any] | None:
    """Return the product's pictures with the variant's own in front; None if the variant has none."""
    several = as_list(base.get("images")) or []
    own: Any = next((variant[name] for name in ("image", "featured_image") if variant.get(name)), None)
    if own is None and variant.get("image_id") is not None:
        number = variant["image_id"]
        own = next((one for one in several if (as_object(one) or {}).get("id") == number), None)
    if own is None:
        return None
    return [own, *(one for one in several if _same(one) != _same(own))]


def _same(picture: Any) -> str | None:
    fields = as_object(picture)
    return plain(picture) if fields is None else address_of(fields)
