"""Reusable Redis patterns. They know nothing of GraphQL, SQL, the shop or the game."""
