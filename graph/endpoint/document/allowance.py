"""How much of a batch may be new.

A document that the process does not know costs time in proportion to its tokens, before anything runs. So the new
documents of one batch are bounded together (`Bounds.batch_tokens`), whatever their number: operations as clients write
them fit, ten at a time, and a batch of the costliest documents takes hardly more than one of them. A document that is
already known takes nothing from the allowance; a client that was refused sends the rest again, or separately.

It fails with `BATCH_TOO_LARGE`, before anything is done with the document.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING

from graph.endpoint.errors import Refusal

if TYPE_CHECKING:
    from graph.endpoint.document.bounds import Bounds

# Each alternative consumes all of what it begins, closed or not, so no text is scanned twice.
_TOKEN = re.compile(
    r'#[^\n\r]*+|"""(?:\\"""|[^"]|"(?!""))*+(?:""")?|"(?:\\.|[^"\\\n\r])*+"?|\.\.\.|[!$&()\[\]{}:=@|]'
    r"|-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?|[A-Za-z_][A-Za-z_0-9]*+"
)


def tokens_in(text: str, most: int) -> int:
    """The lexical tokens and comments of a document, counted up to `most`; for a text that is none, about as many."""
    return sum(1 for _ in islice(_TOKEN.finditer(text), most))


class Allowance:
    """Tokens that the new documents of one batch may still use."""

    def __init__(self, bounds: Bounds) -> None:
        """Begin with the whole allowance of `bounds`."""
        self._bounds = bounds
        self._left = bounds.batch_tokens
        self._taken: set[str] = set()

    def take(self, text: str) -> None:
        """Use what the new document `text` needs, once per batch; raises `Refusal` if too little is left."""
        if text in self._taken:
            return
        needed = tokens_in(text, self._bounds.tokens)
        if needed > self._left:
            limit = self._bounds.batch_tokens
            raise Refusal(
                "BATCH_TOO_LARGE",
                f"The new documents of a batch may have {limit} tokens altogether. Send this one again.",
                limit=limit,
            )
        self._left -= needed
        self._taken.add(text)
