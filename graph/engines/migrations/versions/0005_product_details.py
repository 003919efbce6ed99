"""Adds groups, options, images, brands, GTINs, attributes and former prices of products, and uncounted stock.

Categories get parents. Options, images and attributes are JSON texts; attributes have an index for searching on each
engine.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005_product_details"
down_revision = "0004_bulk_events"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_LISTS = ("options", "images", "attributes")


def upgrade() -> None:
    """Add the columns and their indexes."""
    op.add_column("product", sa.Column("compare_at_price", sa.BigInteger(), nullable=True))
    op.add_column("product", sa.Column("tracked", sa.Boolean(), server_default=sa.true(), nullable=False))
    op.add_column("product", sa.Column("in_stock", sa.Boolean(), server_default=sa.true(), nullable=False))
    op.add_column("product", sa.Column("group_id", sa.String(100), nullable=True))
    op.add_column("product", sa.Column("brand", sa.String(200), nullable=True))
    op.add_column("product", sa.Column("gtin", sa.String(14), nullable=True))
    for name in _LISTS:
        op.add_column("product", sa.Column(name, sa.Text(), server_default="[]", nullable=False))
    op.execute("UPDATE product SET in_stock = (stock > 0)")
    for name, column in (("group", "group_id"), ("brand", "brand")):
        there = sa.text(f"{column} IS NOT NULL")
        op.create_index(f"product_by_{name}", "product", [column], sqlite_where=there, postgresql_where=there)
    op.add_column("category", sa.Column("parent_id", ID, nullable=True))
    op.create_index("category_by_parent", "category", ["parent_id"])
    if op.get_bind().dialect.name == "sqlite":
        _attributes_on_sqlite()
    else:
        op.execute(
            "CREATE INDEX product_by_attribute ON product USING gin ((attributes::jsonb) jsonb_path_ops) "
            "WHERE attributes <> '[]'"
        )


def _attributes_on_sqlite() -> None:
    """Create a table of the pairs in `product.attributes`, which triggers keep in sync."""
    op.execute(
        "CREATE TABLE product_attribute (name TEXT NOT NULL, value TEXT NOT NULL, product_id INTEGER NOT NULL, "
        "PRIMARY KEY (name, value, product_id)) WITHOUT ROWID"
    )
    op.execute("CREATE INDEX product_attribute_of ON product_attribute (product_id)")
    learn = (
        "INSERT OR IGNORE INTO product_attribute "
        "SELECT json_extract(one.value, '$[0]'), json_extract(one.value, '$[1]'), new.id "
        "FROM json_each(new.attributes) AS one;"
    )
    forget = "DELETE FROM product_attribute WHERE product_id = old.id;"
    op.execute(
        f"CREATE TRIGGER product_attribute_insert AFTER INSERT ON product WHEN new.attributes <> '[]' BEGIN {learn} END"
    )
    op.execute(
        "CREATE TRIGGER product_attribute_delete AFTER DELETE ON product "
        f"WHEN old.attributes <> '[]' BEGIN {forget} END"
    )
    op.execute(
        "CREATE TRIGGER product_attribute_update AFTER UPDATE OF attributes ON product "
        f"WHEN old.attributes <> new.attributes BEGIN {forget} {learn} END"
    )


def downgrade() -> None:
    """Drop the columns and their indexes."""
    if op.get_bind().dialect.name == "sqlite":
        for when in ("insert", "delete", "update"):
            op.execute(f"DROP TRIGGER product_attribute_{when}")
        op.execute("DROP TABLE product_attribute")
    else:
        op.execute("DROP INDEX product_by_attribute")
    op.drop_index("category_by_parent", "category")
    op.drop_column("category", "parent_id")
    for name in ("group", "brand"):
        op.drop_index(f"product_by_{name}", "product")
    for name in ("compare_at_price", "tracked", "in_stock", "group_id", "brand", "gtin", *_LISTS):
        op.drop_column("product", name)
