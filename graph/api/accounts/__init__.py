"""Accounts and sessions in GraphQL."""
