"""Open Food Facts and its sisters: goods by barcode. The files have no prices; ``--default price=0`` sets one."""

from __future__ import annotations

from graph.catalog.importing.formats.base import KnownFormat

OPENFOODFACTS = KnownFormat(
    name="openfoodfacts",
    title="Open Food Facts",
    signs=(
        ("code", "product_name", "brands"),
        ("code", "product_name", "categories_tags"),
        ("code", "product_name", "countries"),
        ("code", "url", "creator", "product_name"),
    ),
    columns={
        "sku": ("code", "_id"),
        "gtin": ("code",),
        "name": ("product_name", "product_name_en", "product_name_de", "product_name_fr", "generic_name"),
        "description": ("generic_name", "generic_name_en", "ingredients_text"),
        "price": ("price",),
        "currency": ("currency",),
        "category": ("categories", "categories_en", "main_category_en", "main_category"),
        "brand": ("brands",),
        "image": ("image_url", "image_front_url"),
        "attribute.quantity": ("quantity",),
        "attribute.packaging": ("packaging",),
        "attribute.label": ("labels",),
        "attribute.nutriscore": ("nutriscore_grade", "nutrition_grade_fr"),
    },
    levels=",",
)
