"""A reader of patched live queries, after npm's graphql-live-query-patch: revision 1 is whole, the next are patches."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


def _is_list(value: object) -> bool:
    return isinstance(value, list)


def applied(document: Any, patch: Sequence[dict[str, Any]]) -> Any:
    """`document` after the operations of `patch` (RFC 6902: add, remove, replace)."""
    whole: dict[str, Any] = {"": copy.deepcopy(document)}
    for one in patch:
        *way, last = [part.replace("~1", "/").replace("~0", "~") for part in f"{one['path']}".split("/")]
        at: Any = whole
        for part in way:
            at = at[int(part) if _is_list(at) else part]
        if _is_list(at):
            place = int(last)
            if one["op"] == "add":
                assert 0 <= place <= len(at)
                at.insert(place, one["value"])
            elif one["op"] == "remove":
                del at[place]
            else:
                at[place] = one["value"]
        elif one["op"] == "remove":
            del at[last]
        else:
            assert one["op"] == "add" or last in at
            at[last] = one["value"]
    return whole[""]


def read(payloads: Sequence[str]) -> Any:
    """The data that a client has after `payloads`; raises AssertionError for what that reader does not take."""
    data: Any = None
    revision = 0
    for text in payloads:
        result = json.loads(text)
        if result["revision"] == 1:
            data = result["data"]
            assert data is not None
            revision = 1
        else:
            assert result["revision"] == revision + 1
            data = applied(data, result["patch"])
            revision += 1
    return data
