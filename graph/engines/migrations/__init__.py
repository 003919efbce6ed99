"""Alembic migrations, run by `graph.engines.database.migrate`."""
