"""Reusable Redis patterns: no GraphQL, no SQL, no shop, no game."""
