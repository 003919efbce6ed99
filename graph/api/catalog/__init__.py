"""Products and categories in GraphQL: reading, changing and following them.

Other features show products with `Product`; `products` loads them, `visible` leaves out those the caller may not see.
"""

from graph.api.catalog.loaders import products
from graph.api.catalog.resolvers import PART
from graph.api.catalog.types import Product, visible

__all__ = ["PART", "Product", "products", "visible"]
