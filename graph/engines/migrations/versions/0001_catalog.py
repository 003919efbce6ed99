"""The catalog: categories, products, their search index and the outbox of product events."""

from __future__ import annotations

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0001_catalog"
down_revision = None
branch_labels = None
depends_on = None

# Text that is compared byte by byte on both engines, whatever the database's locale.
BYTES = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "category",
        sa.Column("id", ID, primary_key=True),
        sa.Column("slug", sa.String(64), nullable=False, unique=True),
        sa.Column("name", sa.String(200), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "product",
        sa.Column("id", ID, primary_key=True),
        sa.Column("sku", sa.String(64), nullable=False, unique=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("name_key", BYTES, nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("category_id", ID, sa.ForeignKey("category.id", ondelete="SET NULL"), nullable=True),
        sa.Column("price", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("stock", sa.Integer(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("search", sa.Text(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.CheckConstraint("price >= 0", name="product_price_not_negative"),
        sa.CheckConstraint("stock >= 0", name="product_stock_not_negative"),
        sqlite_autoincrement=True,
    )
    for column, short in (("name_key", "name"), ("price", "price"), ("created_at", "newest")):
        op.create_index(f"product_by_{short}", "product", ["active", column, "id"])
        op.create_index(f"product_by_category_{short}", "product", ["category_id", "active", column, "id"])
    op.create_table(
        "product_events",
        sa.Column("id", ID, primary_key=True),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("product_id", ID, nullable=False),
        sa.Column("category", sa.String(64), nullable=True),
        sa.Column("previous_category", sa.String(64), nullable=True),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=True, unique=True),
        sqlite_autoincrement=True,
    )
    log = op.create_table(
        "product_event_log",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("nonce", sa.String(16), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
    )
    op.bulk_insert(log, [{"id": 1, "nonce": secrets.token_hex(8), "position": 0}])
    if op.get_bind().dialect.name == "sqlite":
        _search_on_sqlite()
    else:
        _search_on_postgresql()


def _search_on_sqlite() -> None:
    """Create an FTS5 index over the words in `product.search`, which triggers keep in sync with the table."""
    op.execute(
        "CREATE VIRTUAL TABLE product_search USING fts5("
        "search, content = 'product', content_rowid = 'id', detail = none, tokenize = 'unicode61 remove_diacritics 0')"
    )
    forget = "INSERT INTO product_search (product_search, rowid, search) VALUES ('delete', old.id, old.search);"
    learn = "INSERT INTO product_search (rowid, search) VALUES (new.id, new.search);"
    op.execute(f"CREATE TRIGGER product_search_insert AFTER INSERT ON product BEGIN {learn} END")
    op.execute(f"CREATE TRIGGER product_search_delete AFTER DELETE ON product BEGIN {forget} END")
    op.execute(
        "CREATE TRIGGER product_search_update AFTER UPDATE OF search ON product "
        f"WHEN old.search <> new.search BEGIN {forget} {learn} END"
    )


def _search_on_postgresql() -> None:
    """Create a GIN index over the exact words in `product.search`; PostgreSQL's parser would split them differently."""
    op.execute("CREATE INDEX product_search ON product USING gin (array_to_tsvector(string_to_array(search, ' ')))")


def downgrade() -> None:
    """Drop the tables."""
    for table in ("product_event_log", "product_events", "product_search", "product", "category"):
        op.execute(f"DROP TABLE IF EXISTS {table}")
