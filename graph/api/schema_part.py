"""One feature's part of the schema, which its `graph.feature.Feature` names. `graph.api.schema` joins them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from graph.api.node import NodeLoader


def _no_nodes() -> Mapping[str, NodeLoader]:
    return {}


@dataclass(frozen=True, kw_only=True)
class SchemaPart:
    """Parts of the root types, each a Strawberry type; types that no field mentions; loaders of its nodes by type."""

    query: type | None = None
    mutation: type | None = None
    subscription: type | None = None
    types: tuple[type, ...] = ()
    nodes: Mapping[str, NodeLoader] = field(default_factory=_no_nodes)
    kept: frozenset[str] = frozenset()
    """Types of `nodes` that everybody may see, and whose loaders only read through the cache."""
    private: frozenset[str] = frozenset()
    """Types that only the viewer and an ADMIN may see; every field that leads to one declares who may use it."""
