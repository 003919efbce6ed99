"""Categories in GraphQL: their tree, what may be done to it, and products chosen by what they are."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from graph.api.node import global_id
from tests.support.apps.api import ADMIN, ANYBODY, PLAYER
from tests.support.apps.products import add_products
from tests.support.engines.either import ABOVE_SQL

if TYPE_CHECKING:
    from graph.endpoint.identity import Caller
    from graph.services import Services
    from tests.support.apps.api import Api

_RESULT = """__typename ... on Category { id slug name parent { slug } }
             ... on UserError { code } ... on InvalidInput { field }"""
CREATE = f"mutation Create($input: CreateCategoryInput!) {{ createCategory(input: $input) {{ {_RESULT} }} }}"
UPDATE = f"mutation Update($input: UpdateCategoryInput!) {{ updateCategory(input: $input) {{ {_RESULT} }} }}"
DELETE = """mutation Delete($id: ID!) {
  deleteCategory(id: $id) { __typename ... on Deleted { id } ... on UserError { code } ... on InvalidInput { field } }
}"""
TREE = "{ categories { slug name parent { slug } productCount } }"
CHOSEN = (
    "query Chosen($filter: ProductFilter!) { products(filter: $filter) { totalCount nodes { sku category { name } } } }"
)


async def create(api: Api, slug: str, **told: str) -> dict[str, Any]:
    """What `createCategory` says; the name is the slug's unless it is told."""
    return (await api(CREATE, ADMIN, input={"slug": slug, "name": slug.title(), **told}))["createCategory"]


async def update(api: Api, category: str, **changes: str | None) -> dict[str, Any]:
    """What `updateCategory` says."""
    return (await api(UPDATE, ADMIN, input={"id": category, **changes}))["updateCategory"]


async def delete(api: Api, category: str) -> dict[str, Any]:
    """What `deleteCategory` says."""
    return (await api(DELETE, ADMIN, id=category))["deleteCategory"]


async def parents(api: Api) -> dict[str, str | None]:
    """The parent of each category, as everybody sees it."""
    found = (await api(TREE))["categories"]
    return {one["slug"]: one["parent"]["slug"] if one["parent"] else None for one in found}


async def test_the_life_of_a_tree(api: Api) -> None:
    """Categories are created, renamed, moved and deleted, and whoever reads afterwards sees that."""
    clothes = await create(api, "clothes")
    assert (clothes["__typename"], clothes["parent"]) == ("Category", None)
    shirts = await create(api, "shirts", parent="clothes")
    assert shirts["parent"] == {"slug": "clothes"}
    assert await create(api, "shirts") == {"__typename": "SlugTaken", "code": "SLUG_TAKEN"}
    sport = await create(api, "sport")
    assert await parents(api) == {"clothes": None, "shirts": "clothes", "sport": None}
    assert (await update(api, shirts["id"], parent="sport"))["parent"] == {"slug": "sport"}
    assert await parents(api) == {"clothes": None, "shirts": "sport", "sport": None}
    assert (await update(api, shirts["id"], name="T-shirts"))["parent"] == {"slug": "sport"}  # what is left out stays
    assert (await update(api, shirts["id"], parent=None))["parent"] is None
    assert [(one["slug"], one["name"]) for one in (await api(TREE))["categories"]] == [
        ("clothes", "Clothes"),
        ("sport", "Sport"),
        ("shirts", "T-shirts"),
    ]
    for one in (clothes, shirts, sport):
        assert await delete(api, one["id"]) == {"__typename": "Deleted", "id": one["id"]}
    assert await parents(api) == {}
    gone = {"__typename": "NotFound", "code": "NOT_FOUND"}
    for nobody in (clothes["id"], "x", global_id("Product", 1)):
        assert await delete(api, nobody) == gone
        assert await update(api, nobody, name="A") == gone


async def test_a_category_never_lies_within_itself(api: Api) -> None:
    """Not under itself and not under what lies below it, however far; and that changes nothing."""
    top = await create(api, "a")
    await create(api, "b", parent="a")
    await create(api, "c", parent="b")
    for below in ("a", "b", "c"):
        refused = await update(api, top["id"], parent=below)
        assert refused == {"__typename": "InvalidInput", "code": "INVALID_INPUT", "field": "parent"}
    assert await parents(api) == {"a": None, "b": "a", "c": "b"}


async def test_two_that_move_below_each_other_do_not_both(api: Api) -> None:
    """Of moves at the same time that together would make a circle, one is refused."""
    left, right = await create(api, "left"), await create(api, "right")
    for _ in range(5):
        moved = await asyncio.gather(update(api, left["id"], parent="right"), update(api, right["id"], parent="left"))
        assert sorted(one["__typename"] for one in moved) == ["Category", "InvalidInput"]
        await update(api, left["id"], parent=None)
        await update(api, right["id"], parent=None)


@ABOVE_SQL
async def test_what_is_not_empty_is_not_deleted(api: Api, services: Services) -> None:
    """A category with products, inactive ones too, or with others below it stays, and so do they."""
    top, low = await create(api, "top"), await create(api, "low", parent="top")
    await add_products(services.database, [{"sku": "A", "category": "low", "active": False}])
    for one in (top, low):
        assert await delete(api, one["id"]) == {"__typename": "InvalidInput", "code": "INVALID_INPUT", "field": "id"}
    assert await parents(api) == {"top": None, "low": "top"}


@pytest.mark.parametrize(
    ("told", "field"),
    [
        ({"slug": "No Slug"}, "slug"),
        ({"slug": "x" * 101}, "slug"),
        ({"name": " "}, "name"),
        ({"name": "nul\0"}, "name"),
        ({"parent": "nobody"}, "parent"),
        ({"parent": "No Slug"}, "parent"),
    ],
)
@ABOVE_SQL
async def test_a_wrong_value_is_named(api: Api, told: dict[str, str], field: str) -> None:
    """Creating and changing refuse it alike."""
    wanted = {"__typename": "InvalidInput", "code": "INVALID_INPUT", "field": field}
    assert await create(api, **{"slug": "good", **told}) == wanted
    assert await parents(api) == {}
    if field != "slug":
        good = await create(api, "good")
        assert await update(api, good["id"], **told) == wanted


@ABOVE_SQL
async def test_products_show_a_new_name_at_once(api: Api, services: Services) -> None:
    """A page that was cached is read again after a category was renamed."""
    books = await create(api, "books")
    await add_products(services.database, [{"sku": "A", "category": "books"}])
    for _ in range(2):
        assert (await api(CHOSEN, filter={}))["products"]["nodes"] == [{"sku": "A", "category": {"name": "Books"}}]
    await update(api, books["id"], name="Printed")
    assert (await api(CHOSEN, filter={}))["products"]["nodes"] == [{"sku": "A", "category": {"name": "Printed"}}]


@pytest.mark.parametrize(("caller", "code"), [(ANYBODY, "UNAUTHENTICATED"), (PLAYER, "FORBIDDEN")])
@ABOVE_SQL
async def test_the_tree_is_an_admins(api: Api, caller: Caller, code: str) -> None:
    """Nobody else creates, changes or deletes a category."""
    for document, variables in (
        (CREATE, {"input": {"slug": "a", "name": "A"}}),
        (UPDATE, {"input": {"id": global_id("Category", 1)}}),
        (DELETE, {"id": global_id("Category", 1)}),
    ):
        assert (await api.refused(document, caller, **variables))["code"] == code


# --- products by what they are ---

PRODUCT = "mutation Create($input: CreateProductInput!) { createProduct(input: $input) { __typename } }"
_RED, _BLUE = ({"name": "Colour", "value": value} for value in ("Red", "Blue"))
_COTTON, _WOOL = ({"name": "Fabric", "value": value} for value in ("Cotton", "Wool"))
KINDS: list[tuple[dict[str, Any], list[str]]] = [
    ({"brand": "Acme"}, ["A", "B"]),
    ({"brand": "acme"}, []),
    ({"brand": "Acme%"}, []),
    ({"brand": "Quo\"te's"}, ["D"]),
    ({"groupId": "G1"}, ["A", "C"]),
    ({"groupId": "G1", "brand": "Acme"}, ["A"]),
    ({"groupId": "none"}, []),
    ({"attributes": [{"name": "Colour", "value": "Red"}]}, ["A", "B"]),
    ({"attributes": [{"name": "Colour", "value": "Red"}, {"name": "Fabric", "value": "Cotton"}]}, ["A"]),
    ({"attributes": [{"name": "Colour", "value": "Red"}, {"name": "Colour", "value": "Blue"}]}, []),
    ({"attributes": [{"name": "Fabric", "value": "Red"}]}, []),
    (
        {"attributes": [{"name": "Colour", "value": "Red"}], "brand": "Acme", "search": "pro", "inStock": False},
        ["A", "B"],
    ),
    ({"attributes": []}, ["A", "B", "C", "D"]),
    ({"brand": None, "groupId": None, "attributes": None}, ["A", "B", "C", "D"]),
]


async def test_products_are_chosen_by_brand_group_and_attributes(api: Api) -> None:
    """All conditions hold, exactly as written, in any order of pages, and counted alike."""
    for told in (
        {"sku": "A", "brand": "Acme", "groupId": "G1", "attributes": [_RED, _COTTON]},
        {"sku": "B", "brand": "Acme", "groupId": "G2", "attributes": [_RED, _WOOL]},
        {"sku": "C", "brand": "Other", "groupId": "G1", "attributes": [_BLUE, _COTTON]},
        {"sku": "D", "brand": "Quo\"te's"},
    ):
        made = await api(PRODUCT, ADMIN, input={"name": f"Product {told['sku']}", "price": {"amount": "1"}, **told})
        assert made["createProduct"]["__typename"] == "Product"
    for chosen, skus in KINDS:
        page = (await api(CHOSEN, filter=chosen))["products"]
        assert ([one["sku"] for one in page["nodes"]], page["totalCount"]) == (skus, len(skus)), chosen


@ABOVE_SQL
async def test_more_attributes_than_ten_are_refused(api: Api) -> None:
    """Each is one more look into the database."""
    pairs = [{"name": f"N{number}", "value": "V"} for number in range(11)]
    assert (await api(CHOSEN, filter={"attributes": pairs[:10]}))["products"]["totalCount"] == 0
    assert (await api.refused(CHOSEN, filter={"attributes": pairs}))["code"] == "BAD_USER_INPUT"
