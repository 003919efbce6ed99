"""Products and categories: tables and rules, reading by keyset through the cache, writes with an outbox.

The service (`CatalogService`) is what the API, the jobs and the commands work with. A write and its event are committed
together; the outbox publishes the events, and `follow_products` reads them. `importing` reads products from files. This
package imports neither GraphQL nor another feature nor the settings.
"""

from graph.catalog import rules
from graph.catalog.changes import ProductChange, follow_products
from graph.catalog.exporting import Export
from graph.catalog.feature import FEATURE
from graph.catalog.keys import CATALOG_TTL, IMPORT_PRODUCTS, IMPORT_UPLOAD
from graph.catalog.outbox import rename_log
from graph.catalog.reading import paging
from graph.catalog.reading.paging import Page
from graph.catalog.reading.queries import PRODUCT_COLUMNS
from graph.catalog.records import (
    CategoryRecord,
    ChangeKind,
    ProductRecord,
    category_of,
    decimal_of,
    images_of,
    pairs_of,
    product_of,
)
from graph.catalog.seed import SEED_COUNT, seed_catalog, seed_if_empty
from graph.catalog.service import CatalogService
from graph.catalog.shelving import CategoryChanges
from graph.catalog.writing import NewProduct, ProductChanges

__all__ = [
    "CATALOG_TTL",
    "FEATURE",
    "IMPORT_PRODUCTS",
    "IMPORT_UPLOAD",
    "PRODUCT_COLUMNS",
    "SEED_COUNT",
    "CatalogService",
    "CategoryChanges",
    "CategoryRecord",
    "ChangeKind",
    "Export",
    "NewProduct",
    "Page",
    "ProductChange",
    "ProductChanges",
    "ProductRecord",
    "category_of",
    "decimal_of",
    "follow_products",
    "images_of",
    "paging",
    "pairs_of",
    "product_of",
    "rename_log",
    "rules",
    "seed_catalog",
    "seed_if_empty",
]
