"""Following boards while scores come in.

`watching` knows who watches what and when it has changed; `boards` reads what they are told.
"""
