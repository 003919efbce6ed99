"""Files that come with operations, as the GraphQL multipart request specification has it.

https://github.com/jaydenseric/graphql-multipart-request-spec: a form with the fields `operations` (what a JSON body
would hold, with null where a file goes), `map` (where each file goes), and the files, in this order. The operations are
known, and can be charged, before the first byte of a file is read. Other fields, and files that `map` does not name,
are read and dropped, as other servers do; before the operations are known, no more bytes of them than a body has.

A resolver gets a `starlette.datastructures.UploadFile` for each variable of the scalar `Upload`, as it does under
Strawberry's own views. Files beyond `IN_MEMORY` bytes are on disk, without a name there: they are gone once the answer
is made, also when the process dies. All forms of a process together take at most `Bounds.spool` bytes of it.

Failure: a form that is malformed, or larger than its bounds, is a `Refusal` with a 4xx; a disk that is full, or taken
by other forms, one with a 503.
"""

from __future__ import annotations

from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Any, Self, cast

from starlette.datastructures import Headers, UploadFile

from graph.endpoint.errors import Refusal
from graph.endpoint.http.form import Form
from graph.endpoint.http.request import CLOSE, decode, parse_operations

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import Receive

    from graph.endpoint.document import Bounds, OperationRequest
    from graph.endpoint.http.form import PartHead

IN_MEMORY = 1 << 18
"""Bytes of a file that are kept in memory."""
UNIT = 8 << 20
"""Bytes of a form for which its caller is charged a unit."""

_FIELDS = ("operations", "map")
_DROPPED = 10
"""Parts of a form that nobody asks for, at most."""
_DIGITS = 6
"""Most digits of an index; Python itself refuses to convert thousands of them."""


class Spool:
    """The room for files of forms that are being served."""

    def __init__(self, size: int) -> None:
        """Of `size` bytes."""
        self.free = size

    def take(self, size: int) -> None:
        """Take `size` bytes; raises `Refusal` when there are not as many."""
        if size > self.free:
            raise Refusal("UNAVAILABLE", "There is no room for files right now.", headers={"Retry-After": "1", **CLOSE})
        self.free -= size

    def give(self, size: int) -> None:
        """Give them back."""
        self.free += size


class UploadForm:
    """The form of one request: `read_operations`, then `read_files`; its end removes the files."""

    def __init__(self, receive: Receive, headers: Headers, bounds: Bounds, spool: Spool) -> None:
        """Raises `Refusal` when the headers show that the form cannot be read."""
        self._form = Form(receive, headers, bounds, parts=len(_FIELDS) + bounds.files + _DROPPED)
        self._bounds = bounds
        self._spool = spool
        self._taken = 0
        self._dropped = 0
        self._places: dict[str, list[tuple[Any, Any]]] = {}
        self._files: list[UploadFile] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._form.close()
        for file in self._files:
            file.file.close()
        self._spool.give(self._taken)

    @property
    def size(self) -> int:
        """Bytes that the form takes at most."""
        return self._bounds.form if self._form.size is None else self._form.size

    @property
    def units(self) -> int:
        """What its caller is charged beside the operations."""
        return self.size // UNIT

    async def read_operations(self) -> OperationRequest | list[OperationRequest]:
        """The operation, or the operations of a batch; `read_files` puts the files into their variables."""
        given = decode(await self._field("operations"), self._bounds)
        asked = parse_operations(given, self._bounds)
        places = decode(await self._field("map"), self._bounds)
        if not isinstance(places, dict):
            raise _malformed("`map` is a JSON object that names for each file the variables it goes to.")
        files = cast("dict[str, Any]", places)
        if len(files) > self._bounds.files:
            most = self._bounds.files
            raise Refusal("TOO_MANY_FILES", f"A form holds at most {most} files.", headers=CLOSE, limit=most)
        taken: set[tuple[int, Any]] = set()
        for name, paths in files.items():
            if not isinstance(paths, list) or not paths:
                raise _malformed("`map` gives a list of paths for each file.")
            self._places[name] = [_place(given, path) for path in cast("list[Any]", paths)]
            for container, key in self._places[name]:
                if (id(container), key) in taken:
                    raise _malformed("`map` puts two files into one place.")
                taken.add((id(container), key))
        return asked

    async def read_files(self) -> None:
        """Read the files to the end of the form and put each where `map` says."""
        if self._places:
            self._spool.take(self.size)
            self._taken = self.size
        missing = dict(self._places)
        while (head := await self._form.head()) is not None:
            if head.name not in self._places and head.name not in _FIELDS:
                await self._drop()
                continue
            places = missing.pop(head.name, None)
            if places is None or head.filename is None:
                raise _malformed(f"The part {head.name!r} is no file, or it came before.")
            file = await self._read_file(head)
            for container, key in places:
                container[key] = file
        if missing:
            raise _malformed(f"The file {next(iter(missing))!r}, which `map` names, is missing.")

    # --- parts ---

    async def _field(self, name: str) -> bytes:
        head = await self._form.head()
        while head is not None and head.name not in _FIELDS and head.filename is None:
            await self._drop_uncharged()
            head = await self._form.head()
        if head is None or head.name != name:
            raise _malformed("The fields of a form are `operations`, `map`, then the files.")
        value = bytearray()
        most = self._bounds.body
        async for piece in self._form.data():
            value += piece
            if len(value) > most:
                told = f"`{name}` holds at most {most} bytes."
                raise Refusal("PAYLOAD_TOO_LARGE", told, headers=CLOSE, limit=most)
        return bytes(value)

    async def _drop(self) -> None:
        async for _ in self._form.data():
            pass

    async def _drop_uncharged(self) -> None:
        """Drop what comes before the operations are known, which nobody has been charged for."""
        most = self._bounds.body
        async for piece in self._form.data():
            self._dropped += len(piece)
            if self._dropped > most:
                told = f"Fields before `map` that nobody asks for hold at most {most} bytes."
                raise Refusal("PAYLOAD_TOO_LARGE", told, headers=CLOSE, limit=most)

    async def _read_file(self, head: PartHead) -> UploadFile:
        headers = Headers(raw=[(b"content-type", head.media.encode("latin-1"))] if head.media else [])
        spooled: Any = SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - closed by the form
        file = UploadFile(spooled, size=0, filename=head.filename, headers=headers)
        self._files.append(file)
        most = self._bounds.file
        try:
            async for piece in self._form.data():
                await file.write(piece)
                if (file.size or 0) > most:
                    told = f"A file holds at most {most} bytes."
                    raise Refusal("PAYLOAD_TOO_LARGE", told, headers=CLOSE, limit=most)
            await file.seek(0)
        except OSError as error:
            raise Refusal("UNAVAILABLE", "The file cannot be stored right now.", headers=CLOSE) from error
        return file


def _malformed(message: str) -> Refusal:
    return Refusal("BAD_REQUEST", message, headers=CLOSE)


def _place(operations: Any, path: Any) -> tuple[Any, Any]:
    """Where `path` leads in `operations`: a container and a key, under which there is null."""
    if not isinstance(path, str):
        raise _malformed("A path of `map` is a string.")
    keys = path.split(".")
    found: Any = operations
    first = int(isinstance(found, list))
    if keys[first : first + 1] != ["variables"] or len(keys) < first + 2:
        raise _malformed("A path of `map` leads to a variable, as variables.file does, or 0.variables.file in a batch.")
    container: Any = None
    key: str | int | None = None
    for name in keys:
        container, key = found, _key(found, name)
        if key is None:
            break
        found = container[key]
    if key is None or found is not None:
        raise _malformed("A path of `map` leads to a variable that is null in `operations`.")
    return container, key


def _key(container: Any, name: str) -> str | int | None:
    """`name` as a key that `container` has; None if it has none of this name."""
    if isinstance(container, dict):
        return name if name in cast("Mapping[str, Any]", container) else None
    if isinstance(container, list) and name.isdecimal() and name.isascii() and len(name) <= _DIGITS:
        return int(name) if int(name) < len(cast("list[Any]", container)) else None
    return None
