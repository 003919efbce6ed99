"""What the followers of a live query are sent: each text is made once, however many get it.

A whole answer is the answer itself; in patch mode it has ``revision: 1``, and each patch after it the next number. A
follower gets a whole answer first, and again after a gap: it was slow, and what waited for it is replaced. An answer
without data cannot be patched: whoever has had one gets whole answers without a revision from then on, as the reader of
npm's graphql-live-query-patch-json-patch has it. A large answer is sent whole each time: comparing it would keep the
process from everything else for too long.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graph.endpoint.execution import encode
from graph.endpoint.live.patching import difference, loads

if TYPE_CHECKING:
    from graph.endpoint.live.follower import LiveFollower

LARGEST = 512 << 10
"""Characters of an answer up to which patches are made; comparing two of that size takes some 50 ms."""


class Texts:
    """The texts of one change, from the answer before to `text`."""

    def __init__(self, text: str, before: str | None, *, patch: bool, data: bool = True) -> None:
        """Send `text`, which has `data` or has none; with `patch`, as patches against `before`."""
        self.text = text
        self._data = data
        self._before = before
        self._patch = patch
        self._whole: str | None = None
        self._tail: str | None = None
        self._numbered: dict[int, str] = {}

    def send(self, follower: LiveFollower, *, first: bool = False) -> None:
        """Send what brings `follower` up to date; `first` is for one that has had nothing yet."""
        sink = follower.sink
        if self._patch and follower.revision is not None:
            if first or sink.busy or not self._patchable():
                follower.revision = 1 if self._first() is not None else None
                sink.latest(self._whole or self.text)
            else:
                follower.revision += 1
                sink.latest(self._numbered_text(follower.revision))
        else:
            sink.latest(self.text)

    def _first(self) -> str | None:
        """The whole answer as revision 1; None for one without data."""
        if self._whole is None and self._data:
            self._whole = f'{self.text[:-1]},"revision":1}}'
        return self._whole

    def _patchable(self) -> bool:
        if self._tail is None:
            self._tail = self._make()
        return bool(self._tail)

    def _make(self) -> str:
        """The members of a patch but its revision; empty where a whole answer is as short, or all there is."""
        if not self._data or max(len(self.text), len(self._before or "")) > LARGEST:
            return ""
        old: Any = loads(self._before) if self._before is not None else {}
        new: Any = loads(self.text)
        if old.get("data") is None:
            return ""
        try:
            members: dict[str, Any] = {"patch": difference(old["data"], new["data"])}
        except RecursionError:
            return ""
        members.update((name, new[name]) for name in ("errors", "extensions") if name in new)
        tail = encode(members).decode()
        return tail if len(tail) < len(self.text) else ""

    def _numbered_text(self, revision: int) -> str:
        text = self._numbered.get(revision)
        if text is None:
            assert self._tail is not None
            text = self._numbered[revision] = f'{self._tail[:-1]},"revision":{revision}}}'
        return text
