"""Alembic migrations, run by `graph.database.migrate`."""
