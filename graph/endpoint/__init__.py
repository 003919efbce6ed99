"""Reusable GraphQL serving: everything between the socket and the schema."""
