"""Text search: the same answers on both engines, whatever is typed."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from graph.catalog import rules
from graph.catalog.reading import pages, queries
from graph.catalog.reading.paging import Filter, PageRequest
from graph.errors import BadInput
from tests.support.apps.products import add_products, new

if TYPE_CHECKING:
    from collections.abc import Callable

    from graph.catalog.service import CatalogService
    from graph.engines.database import Database

SHELF = {
    "LAMP-1": ("Desk Lamp", "Warm light, dimmable."),
    "LAMP-2": ("Crème brûlée lampshade", ""),
    "X100": ("Kaffeemühle „Größe 2“", "für 250 g Bohnen"),
    "AB/CD.E_F": ("日本 茶碗", "handgemacht"),
    "C3PO": ("O'Reilly's \"AND\" OR NOT NEAR book", "tis:* & | ! ( ) <-> - ^"),
    "N1": ("12e5 3.14 -7", "1/2"),
}


async def find(database: Database, search: str) -> set[str]:
    """The skus that a search finds."""
    request = PageRequest.of(first=100, filter=Filter(search=search))
    if request.filter.impossible:
        return set()
    async with database.session() as session:
        page = await pages.page(session, request, database.dialect)
        assert await queries.count(session, request.filter, database.dialect) == len(page.edges)
    return {edge.product.sku for edge in page.edges}


async def test_searches(database: Database) -> None:
    """Each word must begin a word of sku, name or description; case, accents and signs do not matter."""
    await add_products(
        database, [{"sku": sku, "name": name, "description": text} for sku, (name, text) in SHELF.items()]
    )
    for search, found in {
        "lamp": {"LAMP-1", "LAMP-2"},
        "LAMP desk": {"LAMP-1"},
        "amp": set[str](),
        "lamp-1": {"LAMP-1"},
        "CREME brulee": {"LAMP-2"},
        "brûlée": {"LAMP-2"},
        "grosse": {"X100"},
        "größe": {"X100"},
        "mühle": set[str](),
        "kaffee 250": {"X100"},
        "日": {"AB/CD.E_F"},
        "ab/cd.e_f": {"AB/CD.E_F"},
        "o'reilly": {"C3PO"},
        "and or not near": {"C3PO"},
        '"and"': {"C3PO"},
        "tis": {"C3PO"},
        "12e5": {"N1"},
        "3.14": {"N1"},
        "-7": {"N1"},
        "1/2": {"N1"},
        "*": set[str](),
        "lamp*": {"LAMP-1", "LAMP-2"},
        "nothing": set[str](),
    }.items():
        assert await find(database, search) == found, search


async def test_nothing_typed_is_an_error(database: Database, scaled: Callable[[int, int], int]) -> None:
    """Random strings full of operators, quotes and odd characters find what a list in Python finds, and never fail."""
    dice = random.Random(5)
    alphabet = "ab12 '\"*:&|!()<>-^+{}[]~\\%_.,;\0\t\né\u0301日ßﬁ²½\ud800\U0001f600"
    texts = [
        "".join(dice.choices("ab12 -'é\u0301ßﬁ²½日*\"", k=dice.randrange(1, 12))).strip() or "x" for _ in range(60)
    ]
    await add_products(database, [{"sku": f"S{i}", "name": f"{text} ."} for i, text in enumerate(texts)])
    kept = {f"S{i}": set(rules.words(f"S{i} {text}")) for i, text in enumerate(texts)}
    for _ in range(scaled(2000, 150)):
        search = "".join(dice.choices(alphabet, k=dice.randrange(1, 9)))
        try:
            terms = PageRequest.of(filter=Filter(search=search)).filter.terms
        except BadInput:
            continue
        want = {
            sku
            for sku, words in kept.items()
            if terms is None or (terms and all(any(word.startswith(term) for word in words) for term in terms))
        }
        assert await find(database, search) == want, repr(search)


async def test_the_index_follows_every_write(catalog: CatalogService) -> None:
    """Created, renamed and deleted products are found as they are now."""
    product = await catalog.create(new("A", name="Blue vase"))
    assert await find(catalog.database, "blue") == {"A"}
    await catalog.update(product.id, {"name": "Red vase"})
    assert await find(catalog.database, "blue") == set()
    assert await find(catalog.database, "red vase a") == {"A"}
    await catalog.update(product.id, {"description": "with flowers", "stock": 3})
    assert await find(catalog.database, "red flowers") == {"A"}
    await catalog.delete(product.id)
    assert await find(catalog.database, "red") == set()
