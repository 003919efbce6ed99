"""Follows boards while scores come in.

`watching` knows who watches what and whom a change concerns; `boards` reads what the watchers get.
"""
