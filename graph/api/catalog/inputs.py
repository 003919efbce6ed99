"""The inputs of the catalog's queries and mutations."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import strawberry

from graph.api.pagination import given
from graph.catalog import ProductChanges, paging, rules
from graph.endpoint.declare import cost


def _unset(description: str) -> Any:
    """Declare an input field that may be left out."""
    return strawberry.field(default=strawberry.UNSET, description=description)


@strawberry.input(one_of=True, description="Names one product.")
class ProductBy:
    """Exactly one field is set."""

    id: strawberry.ID | None = strawberry.UNSET
    sku: str | None = strawberry.UNSET


@strawberry.input(description="The name and the value of an option or attribute.")
class PairInput:
    name: str
    value: str


@strawberry.input(description="A picture.")
class ImageInput:
    url: str = strawberry.field(description="An http address, or a path.")
    alt: str | None = strawberry.field(default=strawberry.UNSET, description="What the image shows.")


@strawberry.input(description="Which products; all conditions must hold.")
class ProductFilter:
    category: str | None = strawberry.field(default=strawberry.UNSET, description="Slug of a category.")
    search: str | None = strawberry.field(
        default=strawberry.UNSET,
        description="Words that must each begin a word of the name, the sku or the description. Case and accents do "
        f"not matter. At most {paging.MAX_SEARCH} characters and {paging.MAX_TERMS} words.",
        metadata=cost(90, per_word=45),
    )
    min_price: Decimal | None = strawberry.field(
        default=strawberry.UNSET, description="Lowest amount, in any currency."
    )
    max_price: Decimal | None = strawberry.field(
        default=strawberry.UNSET, description="Highest amount, in any currency."
    )
    in_stock: bool | None = strawberry.field(
        default=strawberry.UNSET, description="Only available products, or only unavailable ones.", metadata=cost(90)
    )
    brand: str | None = strawberry.field(
        default=strawberry.UNSET, description="A brand, exactly as written.", metadata=cost(40)
    )
    group_id: str | None = strawberry.field(
        default=strawberry.UNSET, description="The variants of one product.", metadata=cost(20)
    )
    attributes: list[PairInput] | None = strawberry.field(
        default=strawberry.UNSET,
        description=f"Attributes, all of which the product must have; at most {paging.MAX_PAIRS}.",
        metadata=cost(40),
    )
    include_inactive: bool | None = strawberry.field(default=strawberry.UNSET, description="Needs the role ADMIN.")


@strawberry.input(description="A price.")
class MoneyInput:
    """Checked by the catalog's rules."""

    amount: Decimal = strawberry.field(description="Not negative, with no more decimals than the currency has.")
    currency: str = strawberry.field(default="USD", description="ISO 4217 code.")


@strawberry.input(description="A product to be added.")
class CreateProductInput:
    """Checked by the catalog's rules."""

    sku: str = strawberry.field(description=f"At most {rules.MAX_SKU} characters, the first a letter or digit.")
    name: str = strawberry.field(description=f"At most {rules.MAX_NAME} characters.")
    description: str = strawberry.field(default="", description=f"At most {rules.MAX_DESCRIPTION} characters.")
    category: str | None = strawberry.field(default=strawberry.UNSET, description="Slug of a category that exists.")
    price: MoneyInput
    stock: int | None = strawberry.field(default=0, description="Null if stock is not counted.")
    active: bool = True
    compare_at_price: Decimal | None = _unset("What it cost before, in the price's currency.")
    in_stock: bool | None = _unset("Whether it is available; by default, if there is stock or stock is not counted.")
    group_id: str | None = _unset("Shared by the variants of one product.")
    options: list[PairInput] | None = _unset("What distinguishes a variant from the others of its group.")
    images: list[ImageInput] | None = _unset("The first one is the main one.")
    brand: str | None = strawberry.UNSET
    gtin: str | None = _unset("8, 12, 13 or 14 digits, the last of which checks the others.")
    attributes: list[PairInput] | None = strawberry.UNSET

    def more(self) -> ProductChanges:
        """Return the optional fields."""
        return _details(self)


@strawberry.input(
    description="What is to change; fields left out stay. Null removes what a product may be without (category, "
    "compareAtPrice, groupId, brand, gtin, lists; a null stock is not counted) and does not change any other field."
)
class UpdateProductInput:
    """Checked by the catalog's rules."""

    id: strawberry.ID
    name: str | None = strawberry.UNSET
    description: str | None = strawberry.UNSET
    category: str | None = strawberry.field(
        default=strawberry.UNSET,
        description="Slug of a category that exists; null removes the product from its category.",
    )
    price: MoneyInput | None = strawberry.UNSET
    stock: int | None = _unset("Null if stock is not counted any more.")
    active: bool | None = strawberry.UNSET
    compare_at_price: Decimal | None = _unset("What it cost before, in the price's currency.")
    in_stock: bool | None = _unset("Whether it is available; follows the stock if left out.")
    group_id: str | None = strawberry.UNSET
    options: list[PairInput] | None = strawberry.UNSET
    images: list[ImageInput] | None = strawberry.UNSET
    brand: str | None = strawberry.UNSET
    gtin: str | None = strawberry.UNSET
    attributes: list[PairInput] | None = strawberry.UNSET

    def changes(self) -> ProductChanges:
        """Return the changes in the service's form."""
        changes: ProductChanges = {}
        if self.category is not strawberry.UNSET:
            changes["category"] = self.category
        if (name := given(self.name)) is not None:
            changes["name"] = name
        if (description := given(self.description)) is not None:
            changes["description"] = description
        if (price := given(self.price)) is not None:
            changes["price"] = (price.amount, price.currency)
        if self.stock is not strawberry.UNSET:
            changes["stock"] = self.stock
        if (active := given(self.active)) is not None:
            changes["active"] = active
        return changes | _details(self)


@strawberry.input(description="A category to be added.")
class CreateCategoryInput:
    """Checked by the catalog's rules."""

    slug: str = strawberry.field(description="Lower-case letters and digits in words joined by dashes; never changes.")
    name: str
    parent: str | None = _unset("Slug of the parent category.")


@strawberry.input(description="What is to change; fields left out stay, a null parent moves the category to the top.")
class UpdateCategoryInput:
    """Checked by the catalog's rules."""

    id: strawberry.ID
    name: str | None = strawberry.UNSET
    parent: str | None = _unset("Slug of the parent category; not the category itself or one below it.")


def _details(told: CreateProductInput | UpdateProductInput) -> ProductChanges:
    """Return the optional fields of both inputs; a null list is an empty one."""
    changes: ProductChanges = {}
    if told.compare_at_price is not strawberry.UNSET:
        changes["compare_at_price"] = told.compare_at_price
    if (in_stock := given(told.in_stock)) is not None:
        changes["in_stock"] = in_stock
    if told.group_id is not strawberry.UNSET:
        changes["group_id"] = told.group_id
    if told.brand is not strawberry.UNSET:
        changes["brand"] = told.brand
    if told.gtin is not strawberry.UNSET:
        changes["gtin"] = told.gtin
    if told.options is not strawberry.UNSET:
        changes["options"] = [(pair.name, pair.value) for pair in told.options or ()]
    if told.attributes is not strawberry.UNSET:
        changes["attributes"] = [(pair.name, pair.value) for pair in told.attributes or ()]
    if told.images is not strawberry.UNSET:
        changes["images"] = [(image.url, given(image.alt)) for image in told.images or ()]
    return changes
