"""The catalog in GraphQL: what the contract promises, and what it costs."""

from __future__ import annotations

from decimal import Decimal
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import pytest

from graph.api.node import global_id, parse_id
from graph.endpoint import Bounds
from tests.support.apps.api import ADMIN, ANYBODY, PLAYER, asking
from tests.support.apps.products import add_categories, add_products
from tests.support.engines.either import ABOVE_SQL
from tests.support.engines.statements import statements

if TYPE_CHECKING:
    from graph.endpoint.identity import Caller
    from graph.patterns.client import Client
    from graph.services import Services
    from tests.support.apps.api import Api
    from tests.support.engines.proxy import FaultProxy

PRODUCT = """fragment All on Product {
  __typename id sku name description category { id slug name productCount }
  price { amount currency } stock active createdAt updatedAt
}"""
PAGE = (
    PRODUCT
    + """
query Page(
  $first: Int $after: String $last: Int $before: String $filter: ProductFilter $sort: ProductSort! = NAME_ASC
) {
  products(first: $first, after: $after, last: $last, before: $before, filter: $filter, sort: $sort) {
    edges { cursor node { ...All } } nodes { sku } totalCount
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}"""
)
CREATE = (
    PRODUCT
    + """
mutation Create($input: CreateProductInput!) {
  createProduct(input: $input) { ...All ... on UserError { __typename code message } ... on InvalidInput { field } }
}"""
)
UPDATE = (
    PRODUCT
    + """
mutation Update($input: UpdateProductInput!) {
  updateProduct(input: $input) { ...All ... on UserError { __typename code message } ... on InvalidInput { field } }
}"""
)
DELETE = """mutation Delete($id: ID!) {
  deleteProduct(id: $id) { __typename ... on Deleted { id } ... on UserError { code } }
}"""


@pytest.fixture
async def shop(services: Services) -> Services:
    """Sixty products in two categories."""
    await add_categories(services.database, "books", "toys")
    await add_products(
        services.database,
        [
            {
                "sku": f"S{i:02}",
                "name": f"Product {i:02}",
                "amount": Decimal(i),
                "category": ("books", "toys", None)[i % 3],
                "stock": i % 2,
                "minute": i,
            }
            for i in range(60)
        ],
    )
    return services


async def warm(api: Api, proxy: FaultProxy, document: str, **variables: Any) -> tuple[dict[str, Any], int]:
    """The data of an operation whose values are all in the cache, and the trips to Redis that it takes.

    Those are the fewest of five attempts: what goes on in the background takes two trips a second, too.
    """
    for _ in range(3):  # each trip ends after what an earlier operation was still storing, or asking again
        await api(document, **variables)
    seen: list[tuple[int, dict[str, Any]]] = []
    for _ in range(5):
        before = proxy.requests
        data = await api(document, **variables)
        seen.append((proxy.requests - before, data))
    trips, data = min(seen, key=itemgetter(0))
    return data, trips


async def test_a_page_of_fifty_costs_one_trip(api: Api, shop: Services, proxy: FaultProxy) -> None:
    """A page of 50 with categories, their counts and the total takes 3 statements cold, and 1 trip warm."""
    with statements(shop.database) as seen:
        cold = await api(PAGE, first=50)
    assert len(seen) <= 3
    with statements(shop.database) as seen:
        assert await warm(api, proxy, PAGE, first=50) == (cold, 1)
    assert seen == []
    assert len(cold["products"]["edges"]) == 50
    assert cold["products"]["totalCount"] == 60
    node = cold["products"]["edges"][3]["node"]
    assert node == {
        "__typename": "Product",
        "id": node["id"],
        "sku": "S03",
        "name": "Product 03",
        "description": "",
        "category": {"id": node["category"]["id"], "slug": "books", "name": "Books", "productCount": 20},
        "price": {"amount": "3.00", "currency": "USD"},
        "stock": 1,
        "active": True,
        "createdAt": "2026-01-01T00:03:00.000000Z",
        "updatedAt": "2026-01-01T00:03:00.000000Z",
    }


@pytest.mark.parametrize(
    ("selection", "counted"),
    [
        ("nodes { sku }", 0),
        ("totalCount", 1),
        ("... { totalCount }", 1),
        ("... on ProductConnection { other: totalCount }", 1),
        ("...Deep", 1),
        ("totalCount @skip(if: $yes)", 0),
        ("... @include(if: $no) { totalCount }", 0),
        ("nodes { sku } ... @skip(if: $no) { ...Deep @include(if: $yes) }", 1),
    ],
)
@ABOVE_SQL
async def test_the_total_is_computed_only_when_selected(api: Api, shop: Services, selection: str, counted: int) -> None:
    """TotalCount costs its statement only when the operation really selects it, through whatever fragments."""
    spread = "Deep" in selection
    fragments = "fragment Deep on ProductConnection { ...Deeper } fragment Deeper on ProductConnection { totalCount }"
    yes, no = (
        ("$yes: Boolean! = true" if "$yes" in selection else ""),
        ("$no: Boolean! = false" if "$no" in selection else ""),
    )
    head = f"query Q({yes} {no})" if yes or no else "query Q"
    document = f"{head} {{ products(first: 2) {{ {selection} }} }} {fragments if spread else ''}"
    with statements(shop.database) as seen:
        data = await api(document)
    assert sum("count(" in statement.lower() for statement in seen) == counted
    assert ("60" in str(data)) == bool(counted)


@ABOVE_SQL
async def test_looking_at_the_selection_is_linear(shop: Services, client: Client) -> None:
    """Fragments that each spread the next one twice, 268 million ways in all, are looked through all the same."""
    chain = " ".join(
        f"fragment F{i} on ProductConnection {{ ...F{i + 1} ... @include(if: true) {{ ...F{i + 1} }} }}"
        for i in range(28)
    )
    end = "fragment F28 on ProductConnection { totalCount }"
    async with asking(shop, client, Bounds(directives=2**50, complexity=2**50)) as api:
        data = await api(f"{{ products(first: 1) {{ ...F0 }} }} {chain} {end}")
    assert data == {"products": {"totalCount": 60}}


async def test_pages_follow_each_other(api: Api, shop: Services) -> None:
    """A client that follows endCursor, or startCursor backward, sees the whole list once."""
    for size, ahead in ((("first", "after"), True), (("last", "before"), False)):
        names: list[str] = []
        cursor: str | None = None
        while True:
            page = (await api(PAGE, ANYBODY, sort="PRICE_DESC", **{size[0]: 25, size[1]: cursor}))["products"]
            found = [node["sku"] for node in page["nodes"]]
            names = names + found if ahead else found + names
            info = page["pageInfo"]
            cursor = info["endCursor" if ahead else "startCursor"]
            if not info["hasNextPage" if ahead else "hasPreviousPage"]:
                break
        assert names == [f"S{i:02}" for i in reversed(range(60))]


CONDITIONS: list[Any] = [
    ({"category": "books"}, 20),
    ({"category": "none"}, 0),
    ({"category": "nul\0"}, 0),
    ({"search": "product 07"}, 1),
    ({"search": " "}, 60),
    ({"search": "!!!"}, 0),
    ({"minPrice": "10", "maxPrice": "19.5"}, 10),
    ({"minPrice": "-5", "maxPrice": "999999999999999999"}, 60),
    ({"inStock": True}, 30),
    ({"inStock": False, "category": "toys", "search": "prod"}, 10),
    ({"includeInactive": False, "category": None, "search": None}, 60),
]


async def test_filters(api: Api, shop: Services) -> None:
    """Each condition narrows the page and the total alike."""
    for conditions, count in CONDITIONS:
        page = (await api(PAGE, first=100, filter=conditions))["products"]
        assert (len(page["nodes"]), page["totalCount"]) == (count, count), conditions


NONSENSE: list[Any] = [
    {"first": -1},
    {"first": 101},
    {"first": 1, "last": 1},
    {"after": "nonsense"},
    {"before": ""},
    {"filter": {"search": "x" * 201}},
]


@ABOVE_SQL
async def test_arguments_that_make_no_sense(api: Api, services: Services) -> None:
    """Bad arguments and cursors are BAD_USER_INPUT."""
    for told in NONSENSE:
        assert (await api.refused(PAGE, **told))["code"] == "BAD_USER_INPUT", told


@ABOVE_SQL
async def test_a_cursor_of_another_sort(api: Api, shop: Services) -> None:
    """A cursor is good for the sort that it was given out for."""
    cursor = (await api(PAGE, first=1))["products"]["pageInfo"]["endCursor"]
    assert (await api.refused(PAGE, after=cursor, sort="NEWEST"))["code"] == "BAD_USER_INPUT"


NOT_DECIMALS: list[Any] = ["1e5", "NaN", "", " 1", "0x1", "1,5", "9" * 19, "\u0661", 1.5, 10, True]


@ABOVE_SQL
async def test_a_decimal_is_a_plain_string(api: Api, services: Services) -> None:
    """Anything but a plain decimal in a string is refused before the resolver runs."""
    for value in NOT_DECIMALS:
        answer = await api.execute(PAGE, filter={"minPrice": value})
        assert "Decimal must be a string" in answer["errors"][0]["message"], value


# --- one product ---


async def test_a_product_by_id_and_sku(api: Api, shop: Services, proxy: FaultProxy) -> None:
    """product(by:) finds it either way; fields asked for side by side share a trip and a statement."""
    key = (await api("{ products(first: 1) { nodes { id } } }"))["products"]["nodes"][0]["id"]
    document = """query Q($id: ID!) { a: product(by: {id: $id}) { sku } b: product(by: {sku: "S01"}) { sku }
                  c: product(by: {sku: "S02"}) { sku } d: product(by: {sku: "none"}) { sku } }"""
    with statements(shop.database) as seen:
        data = await api(document, id=key)
    assert data == {"a": {"sku": "S00"}, "b": {"sku": "S01"}, "c": {"sku": "S02"}, "d": None}
    assert len(seen) == 2
    assert await warm(api, proxy, document, id=key) == (data, 1)


NAMELESS: list[Any] = [
    {"sku": ""},
    {"sku": "nul\0"},
    {"sku": "x" * 99_000},
    {"id": ""},
    {"id": "x"},
    {"id": "é"},
    {"id": global_id("Product", 0)},
    {"id": global_id("Product", "01")},
    {"id": global_id("Product", "-1")},
    {"id": global_id("Product", 2**63)},
    {"id": global_id("Product", "9" * 5000)},
    {"id": global_id("Category", 1)},
    {"id": global_id("Nothing", 1)},
]


@ABOVE_SQL
async def test_what_names_no_product(api: Api, shop: Services) -> None:
    """An id or a sku that names nothing, however broken, finds null without an error, as does node."""
    for by in NAMELESS:
        assert await api("query Q($by: ProductBy!) { product(by: $by) { id } }", by=by) == {"product": None}
        if "id" in by and "Category" not in str(parse_id(by["id"])):
            assert await api("query Q($id: ID!) { node(id: $id) { id } }", id=by["id"]) == {"node": None}
    broken = await api.refused("query Q($by: ProductBy!) { product(by: $by) { id } }", by={"sku": "\ud800"})
    assert broken["code"] == "BAD_REQUEST"  # a lone surrogate is no JSON


@ABOVE_SQL
async def test_exactly_one_name(api: Api, services: Services) -> None:
    """ProductBy takes exactly one of its fields."""
    for by in ({}, {"id": "a", "sku": "b"}, {"sku": None}):
        assert (await api.execute("query Q($by: ProductBy!) { product(by: $by) { id } }", by=by))["errors"]


@ABOVE_SQL
async def test_node_and_nodes(api: Api, shop: Services) -> None:
    """Every node is found again by its ID; nodes keeps the order, repeats what is repeated, and asks once a type."""
    data = await api("{ products(first: 3) { nodes { id } } categories { id slug productCount } }")
    products = [node["id"] for node in data["products"]["nodes"]]
    category = data["categories"][0]
    document = """query Q($ids: [ID!]!) { nodes(ids: $ids) {
                  id ... on Product { sku } ... on Category { slug productCount } } }"""
    ids = [products[2], "x", category["id"], products[0], products[2]]
    with statements(shop.database) as seen:
        found = (await api(document, ids=ids))["nodes"]
    assert len(seen) == 1  # the categories are in the cache
    first, third = {"id": products[0], "sku": "S00"}, {"id": products[2], "sku": "S02"}
    assert found == [third, None, category, first, third]
    assert await api("query Q($id: ID!) { node(id: $id) { ... on Product { sku } } }", id=products[1]) == {
        "node": {"sku": "S01"}
    }
    assert (await api.refused(document, ids=["x"] * 101))["code"] == "BAD_USER_INPUT"


async def test_categories(api: Api, shop: Services, proxy: FaultProxy) -> None:
    """All categories come by name with their counts, in one statement and one trip."""
    with statements(shop.database) as seen:
        data = await api("{ categories { name productCount } }")
    assert data == {"categories": [{"name": "Books", "productCount": 20}, {"name": "Toys", "productCount": 20}]}
    assert len(seen) == 1
    assert await warm(api, proxy, "{ categories { name productCount } }") == (data, 1)


# --- who may see what ---


@ABOVE_SQL
async def test_inactive_products_are_for_admins(api: Api, services: Services) -> None:
    """What is not active is invisible but to an ADMIN, and an answer that depended on that is the caller's."""
    await add_products(services.database, [{"sku": "A"}, {"sku": "B", "active": False}])
    everything = {"filter": {"includeInactive": True}}
    data = await api(PAGE, ADMIN, **everything)
    assert [node["sku"] for node in data["products"]["nodes"]] == ["A", "B"]
    assert api.context.viewer_touched
    hidden = data["products"]["edges"][1]["node"]["id"]
    assert (await api.refused(PAGE, ANYBODY, **everything))["code"] == "UNAUTHENTICATED"
    assert (await api.refused(PAGE, PLAYER, **everything))["code"] == "FORBIDDEN"
    document = """query Q($id: ID!) { product(by: {sku: "B"}) { active } node(id: $id) { id } }"""
    assert await api(document, ADMIN, id=hidden) == {"product": {"active": False}, "node": {"id": hidden}}
    for caller in (ANYBODY, PLAYER):
        assert await api(document, caller, id=hidden) == {"product": None, "node": None}
        assert api.context.viewer_touched
    assert [node["sku"] for node in (await api(PAGE))["products"]["nodes"]] == ["A"]
    assert not api.context.viewer_touched


@pytest.mark.parametrize(("caller", "code"), [(ANYBODY, "UNAUTHENTICATED"), (PLAYER, "FORBIDDEN")])
@ABOVE_SQL
async def test_writing_needs_an_admin(api: Api, services: Services, caller: Caller, code: str) -> None:
    """Nobody but an ADMIN creates, changes or deletes a product."""
    key = global_id("Product", 1)
    for document, variables in (
        (CREATE, {"input": {"sku": "A", "name": "A", "price": {"amount": "1"}}}),
        (UPDATE, {"input": {"id": key}}),
        (DELETE, {"id": key}),
    ):
        assert (await api.refused(document, caller, **variables))["code"] == code


# --- writing ---


async def test_the_life_of_a_product(api: Api, services: Services) -> None:
    """A product is created, changed and deleted, and every read in between shows it as it is."""
    await add_categories(services.database, "books")
    told = {"sku": "A", "name": "Lamp", "price": {"amount": "19.9"}, "category": "books"}
    made = (await api(CREATE, ADMIN, input=told))["createProduct"]
    assert (made["price"], made["stock"], made["active"]) == ({"amount": "19.90", "currency": "USD"}, 0, True)
    assert made["category"]["productCount"] == 1
    assert (await api(CREATE, ADMIN, input=told))["createProduct"] == {
        "__typename": "SkuTaken",
        "code": "SKU_TAKEN",
        "message": "Another product has the sku A.",
    }
    see = PRODUCT + """query Q($id: ID!) { product(by: {id: $id}) { ...All } }"""
    assert (await api(see, id=made["id"]))["product"] == made

    key = made["id"]
    changed = (await api(UPDATE, ADMIN, input={"id": key, "stock": 4, "name": None, "price": None}))["updateProduct"]
    assert changed == made | {"stock": 4, "updatedAt": changed["updatedAt"]}
    assert changed["updatedAt"] > made["updatedAt"]
    without = (await api(UPDATE, ADMIN, input={"id": key, "category": None}))["updateProduct"]
    assert without["category"] is None
    assert (await api(see, id=key))["product"] == without

    assert await api(DELETE, ADMIN, id=key) == {"deleteProduct": {"__typename": "Deleted", "id": key}}
    assert (await api(see, id=key))["product"] is None
    for gone in (key, "x", global_id("Category", 1)):
        found = await api(DELETE, ADMIN, id=gone)
        assert found == {"deleteProduct": {"__typename": "NotFound", "code": "NOT_FOUND"}}
        assert (await api(UPDATE, ADMIN, input={"id": gone, "stock": 1}))["updateProduct"]["code"] == "NOT_FOUND"


INVALID: list[Any] = [
    ({"sku": "a  b"}, "sku"),
    ({"gtin": "4006381333930"}, "gtin"),
    ({"brand": " "}, "brand"),
    ({"compareAtPrice": "-1"}, "compareAtPrice"),
    ({"images": [{"url": "javascript:alert(1)"}]}, "images.url"),
    ({"options": [{"name": "Size", "value": "S"}, {"name": "Size", "value": "M"}]}, "options"),
    ({"attributes": [{"name": "", "value": "S"}]}, "attributes.name"),
    ({"name": " "}, "name"),
    ({"name": "nul\0"}, "name"),
    ({"description": "x" * 10_001}, "description"),
    ({"category": "none"}, "category"),
    ({"price": {"amount": "-1"}}, "price.amount"),
    ({"price": {"amount": "0.001"}}, "price.amount"),
    ({"price": {"amount": "1", "currency": "dollars"}}, "price.currency"),
    ({"stock": -1}, "stock"),
]


@ABOVE_SQL
async def test_invalid_input(api: Api, services: Services) -> None:
    """A value that breaks a rule is an InvalidInput that names its field, in create and in update."""
    good: dict[str, Any] = {"sku": "A", "name": "A", "price": {"amount": "1"}}
    made = (await api(CREATE, ADMIN, input=good | {"sku": "B"}))["createProduct"]
    for told, field in INVALID:
        refused = (await api(CREATE, ADMIN, input=good | told))["createProduct"]
        assert (refused["__typename"], refused["code"], refused["field"]) == ("InvalidInput", "INVALID_INPUT", field)
        if field != "sku":
            assert (await api(UPDATE, ADMIN, input={"id": made["id"]} | told))["updateProduct"]["field"] == field
