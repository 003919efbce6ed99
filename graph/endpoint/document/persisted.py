"""Documents by hash or id: Automatic Persisted Queries as in Apollo's clients, and trusted documents.

APQ: a client sends the SHA-256 of its document. If it is not known yet, the answer is `PersistedQueryNotFound`, and the
client sends the text once in full. The text is kept in Redis, under its hash, until nobody has used it for `ttl`
seconds. It is kept only after one of its operations was charged and executed, and only up to `largest` characters;
the hash is always checked. All texts together take at most `capacity` bytes: the least recently used is evicted first.
One caller stores at most `share` bytes an hour, so nobody can evict what others use. While Redis is away every hash
is unknown, and clients send their text.

Trusted documents: a manifest made when the clients were built. With `only`, nothing else runs.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, cast

import orjson
from redis.exceptions import ResponseError

from graph.endpoint.document.retention import Retention
from graph.endpoint.errors import Refusal
from graph.patterns.client import RedisUnavailable, Script

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from graph.endpoint.document.request import OperationRequest
    from graph.patterns.client import Client

_SHA256 = re.compile(r"[0-9a-f]{64}")
_KEEP = Script(__name__, "keep")
_FIND = Script(__name__, "find", idempotent=True)
_SHARE_WINDOW = 3600
_MEMORY = 8 << 20
"""Bytes of texts that each process keeps in memory."""

EXPIRING_KEYS = {"{apq}:*": "documents by their hash, and what each caller has stored"}
"""Keys with a TTL, below the prefix, and what they hold."""


def read_manifest(path: Path) -> dict[str, str]:
    """The documents of a manifest file by id.

    Understands Apollo's ``apollo-persisted-query-manifest`` (a list of operations with `id` and `body`) and Relay's
    plain object from id to text. Raises ValueError for anything else.
    """
    try:
        manifest: Any = orjson.loads(path.read_bytes())
        listed: Any = manifest.get("operations")
        entries: dict[str, str] = manifest if listed is None else {one["id"]: one["body"] for one in listed}
        if all(type(one) is str for pair in entries.items() for one in pair):
            return entries
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is no manifest of persisted documents: {error!r}") from error
    raise ValueError(f"{path} is no manifest of persisted documents: expected Apollo's or Relay's format")


class Persisted:
    """Finds the text of an operation that was requested by hash or id."""

    def __init__(
        self,
        client: Client | None = None,
        *,
        trusted: Mapping[str, str] | None = None,
        only: bool = False,
        ttl: float = 7 * 86400.0,
        largest: int = 32_768,
        capacity: int = 16 << 20,
        share: int = 1 << 18,
        prefix: str = "graph",
    ) -> None:
        """Keep texts through `client` (None: no APQ) for `ttl` seconds after their last use.

        A text has at most `largest` characters. All texts together take at most `capacity` bytes, and one caller may
        store at most `share` bytes an hour. `trusted` documents are known by id and by hash.
        """
        self._client = client if not only else None
        self._only = only
        self._ttl = int(ttl)
        self._largest = largest
        self._prefix = prefix
        self._trusted: dict[str, str] = {}
        for key, text in (trusted or {}).items():
            self._trusted[key] = self._trusted[_digest(text)] = text
        self._texts = frozenset(self._trusted.values())
        self._capacity = capacity
        self._share = share
        self._memory: Retention[str, str] = Retention(_MEMORY)

    def is_trusted(self, text: str) -> bool:
        """Whether the document `text` is one of the manifest."""
        return text in self._texts

    async def text(self, request: OperationRequest, *, remembered: bool = False) -> str:
        """The document of `request`. Raises `Refusal` when there is none, or it may not run here.

        With `remembered` Redis is not asked: only documents in this process's memory are known.
        """
        text = self.known(request)
        return text if text is not None else await self._find(_hash_of(request) or "", remembered=remembered)

    def trusts(self, text: str) -> bool:
        """Whether `text` is a trusted document."""
        return text in self._texts

    def known(self, request: OperationRequest) -> str | None:
        """The document of `request`, as `text` gives it, if this process knows it without asking Redis."""
        digest = _hash_of(request)
        query = request.query
        if query is not None and digest is not None and not request.document_id and _digest(query) != digest:
            raise Refusal("BAD_REQUEST", "provided sha does not match query")
        if self._only:
            text = self._trusted.get(digest or "") if query is None else query if query in self._texts else None
            if text is None:
                raise Refusal("PERSISTED_QUERY_NOT_FOUND", "Only trusted documents run here.")
            return text
        if query is not None:
            return query
        if digest is None:
            raise Refusal("BAD_REQUEST", "The request has no query.")
        return self._trusted.get(digest) or self._memory.get(digest)

    async def _find(self, digest: str, *, remembered: bool) -> str:
        if self._client is None:
            raise Refusal("PERSISTED_QUERY_NOT_SUPPORTED", "PersistedQueryNotSupported")
        text = None
        if not remembered and _SHA256.fullmatch(digest):
            try:
                found = await self._client.run(_FIND, self._keys(), (digest, self._ttl))
            except (RedisUnavailable, ResponseError):
                found = None
            text = found.decode() if found is not None else None
        if text is None:
            raise Refusal("PERSISTED_QUERY_NOT_FOUND", "PersistedQueryNotFound")
        self._remember(digest, text)
        return text

    def keep(self, request: OperationRequest, text: str, caller: str) -> None:
        """Store `text` after `request` ran one of its operations for `caller`; does nothing if no hash was sent."""
        if request.query is None or self._client is None or request.document_id:
            return
        digest = _hash_of(request)
        if digest is None or digest in self._trusted or len(text) > self._largest:
            return
        if self._memory.get(digest) is not None:
            return
        self._remember(digest, text)
        keys = (*self._keys(), f"{self._prefix}:{{apq}}:caller:{caller}")
        # Not awaited: the caller's answer does not depend on it, and a failure only means that the text is sent again.
        self._client.batch(_KEEP(keys, (digest, text, self._ttl, self._capacity, self._share, _SHARE_WINDOW)))

    def _keys(self) -> tuple[str, ...]:
        return tuple(f"{self._prefix}:{{apq}}:{name}" for name in ("texts", "uses", "bytes"))

    def _remember(self, digest: str, text: str) -> None:
        self._memory.put(digest, text, 512 + 4 * len(text))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _hash_of(request: OperationRequest) -> str | None:
    """The hash or id by which `request` names its document. Raises `Refusal` for an invalid one."""
    if request.document_id is not None:
        return request.document_id.removeprefix("sha256:")
    persisted = (request.extensions or {}).get("persistedQuery")
    if persisted is None:
        return None
    if not isinstance(persisted, dict):
        raise Refusal("BAD_REQUEST", "extensions.persistedQuery must be an object.")
    details = cast("dict[str, Any]", persisted)
    digest = details.get("sha256Hash")
    if details.get("version") != 1 or not isinstance(digest, str):
        raise Refusal("BAD_REQUEST", "extensions.persistedQuery must have version 1 and a sha256Hash.")
    return digest
