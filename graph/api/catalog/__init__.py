"""Products and categories in GraphQL: queries, mutations and subscriptions.

Other features show products with `Product`; `products` loads them, `visible` hides those that the caller may not see.
"""

from graph.api.catalog.loaders import products
from graph.api.catalog.resolvers import PART
from graph.api.catalog.types import Product, visible

__all__ = ["PART", "Product", "products", "visible"]
