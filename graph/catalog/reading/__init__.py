"""Finding products: filters, search, and pages by keyset."""
