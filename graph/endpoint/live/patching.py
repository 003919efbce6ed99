"""JSON patches (RFC 6902) between two answers, in the form that npm's graphql-live-query-patch-json-patch reads.

A patch is made in one walk over both answers. A list is compared place by place after what it has in common at both
ends, so that an entry that is inserted, removed or changed is one operation.
"""

from __future__ import annotations

import json
from typing import Any, TypeAlias, cast

import orjson

PatchOperation: TypeAlias = "dict[str, Any]"


def loads(text: str) -> Any:
    """`text`, which is JSON; its integers may have more than 64 bits."""
    try:
        return orjson.loads(text)
    except ValueError:
        return json.loads(text)


def difference(old: Any, new: Any) -> list[PatchOperation]:
    """The operations that make `new` of `old`, in their order."""
    found: list[PatchOperation] = []
    _compare(old, new, "", found)
    return found


def _same(old: Any, new: Any) -> bool:
    """Whether both are the same JSON: unlike `==`, true is not 1."""
    if type(old) is not type(new):
        return False
    if isinstance(old, dict):
        return old.keys() == new.keys() and all(
            _same(value, new[name]) for name, value in cast("dict[str, Any]", old).items()
        )
    if isinstance(old, list):
        return len(cast("list[Any]", old)) == len(new) and all(map(_same, cast("list[Any]", old), new))
    return old == new


def _compare(old: Any, new: Any, path: str, found: list[PatchOperation]) -> None:
    if isinstance(old, dict) and isinstance(new, dict):
        _compare_objects(cast("dict[str, Any]", old), cast("dict[str, Any]", new), path, found)
    elif isinstance(old, list) and isinstance(new, list):
        _compare_lists(cast("list[Any]", old), cast("list[Any]", new), path, found)
    elif not _same(old, new):
        found.append({"op": "replace", "path": path, "value": new})


def _compare_objects(old: dict[str, Any], new: dict[str, Any], path: str, found: list[PatchOperation]) -> None:
    for name, value in old.items():
        place = f"{path}/{_escaped(name)}"
        if name in new:
            _compare(value, new[name], place, found)
        else:
            found.append({"op": "remove", "path": place})
    found += [
        {"op": "add", "path": f"{path}/{_escaped(name)}", "value": value}
        for name, value in new.items()
        if name not in old
    ]


def _compare_lists(old: list[Any], new: list[Any], path: str, found: list[PatchOperation]) -> None:
    shorter = min(len(old), len(new))
    start = 0
    while start < shorter and _same(old[start], new[start]):
        start += 1
    end = 0
    while end < shorter - start and _same(old[-1 - end], new[-1 - end]):
        end += 1
    first, last = old[start : len(old) - end], new[start : len(new) - end]
    for place, (one, other) in enumerate(zip(first, last, strict=False), start):
        _compare(one, other, f"{path}/{place}", found)
    both = start + min(len(first), len(last))
    found += [{"op": "remove", "path": f"{path}/{place}"} for place in range(start + len(first) - 1, both - 1, -1)]
    found += [
        {"op": "add", "path": f"{path}/{both + i}", "value": value} for i, value in enumerate(last[both - start :])
    ]


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
