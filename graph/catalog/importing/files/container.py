"""Opens a product file, plain or packed with gzip or zip, and converts it to UTF-8.

The result is a binary file of UTF-8 without a byte order mark, to be read once from beginning to end. The encoding is
recognised by a byte order mark, by being valid UTF-8, by the NULs of UTF-16, or else by charset-normalizer from a
sample; `UnpackedFile.encoding` says which it was. UTF-8 with a few broken bytes stays UTF-8: its bad rows are reported.

A small file that unpacks to an enormous one is refused with `Unreadable` while it is read (`MAX_UNPACKED`,
`MAX_RATIO`), as are archives that are damaged, encrypted, or hold more than one file of products. Memory stays flat.
"""

from __future__ import annotations

import codecs
import contextlib
import gzip
import io
import lzma
import os
import re
import unicodedata
import zipfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from graph.catalog.importing.problems import Unreadable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MAX_UNPACKED = 16 << 30
"""Bytes that a packed file may unpack to."""
MAX_RATIO = 250
"""How many times its size a packed file may unpack to, beyond `_GRACE`; products compress to a 30th at best."""
_GRACE = 64 << 20
MAX_DIRECTORY = 1 << 20
"""Bytes of the list of an archive's members: thousands of pictures may lie beside the products."""
_SAMPLE = 1 << 18
_CHUNK = 1 << 16
_FAR = 1 << 26
"""How far into a file the first non-ASCII character is looked for."""

GZIP, ZIP = b"\x1f\x8b", b"PK\x03\x04"
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_ENDINGS = (".csv", ".tsv", ".txt", ".json", ".ndjson", ".jsonl", ".tab", ".xml")
_DAMAGED = (zlib.error, EOFError, gzip.BadGzipFile, zipfile.BadZipFile, lzma.LZMAError, NotImplementedError)


@dataclass(slots=True)
class UnpackedFile:
    """A file that is being read: `text` is UTF-8; `name` is the file's, or that of the member of an archive."""

    text: BinaryIO
    name: str
    encoding: str
    packed: str | None
    size: int
    position: Callable[[], int]
    """How many bytes of the file on disk have been read, out of `size`."""
    close: Callable[[], None]


def open_file(path: Path, encoding: str | None = None) -> UnpackedFile:
    """Open the file at `path`; `encoding` overrides detection.

    Raises `Unreadable`, and OSError if it cannot be opened.
    """
    with contextlib.ExitStack() as stack:
        disk = stack.enter_context(path.open("rb"))
        size = os.fstat(disk.fileno()).st_size
        begins = disk.read(4)
        disk.seek(0)
        packed = "gzip" if begins.startswith(GZIP) else "zip" if begins.startswith(ZIP) else None

        def inner() -> tuple[BinaryIO, str]:
            disk.seek(0)
            if packed is None:
                return disk, path.name
            raw, name = _gzip(disk, path) if packed == "gzip" else _zip(disk, stack)
            return cast("BinaryIO", io.BufferedReader(_Bounded(raw, size), _CHUNK)), name

        raw, name = inner()
        chosen, skip = _encoding_of(raw) if encoding is None else (_known(encoding), 0)
        raw, name = inner()
        if encoding is not None:
            chosen, skip = _marked(raw.read(4), chosen)
            raw, name = inner()
        raw.read(skip)
        text = raw
        if chosen not in ("utf-8", "ascii"):
            text = cast("BinaryIO", io.BufferedReader(_Transcoded(raw, chosen), _CHUNK))
        return UnpackedFile(text, name, chosen, packed, size, disk.tell, stack.pop_all().close)


def _gzip(disk: BinaryIO, path: Path) -> tuple[BinaryIO, str]:
    name = path.name[: -len(path.suffix)] if path.suffix.lower() in (".gz", ".gzip") else path.name
    return cast("BinaryIO", gzip.GzipFile(fileobj=disk)), name


def _zip(disk: BinaryIO, stack: contextlib.ExitStack) -> tuple[BinaryIO, str]:
    try:
        archive = stack.enter_context(zipfile.ZipFile(cast("BinaryIO", _ReadsBounded(disk))))
        names = [one for one in archive.namelist() if not one.endswith("/") and not one.startswith("__MACOSX/")]
        wanted = [one for one in names if one.lower().endswith(_ENDINGS)] or names
        if len(wanted) != 1:
            shown = ", ".join(wanted[:5])
            raise Unreadable(f"The archive holds {len(wanted)} files; pack one alone{f': {shown}' if shown else ''}.")
        if archive.getinfo(wanted[0]).flag_bits & 1:
            raise Unreadable("The archive is encrypted.")
        if archive.getinfo(wanted[0]).compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            # The other decoders unpack a whole block at once, however large the result is.
            raise Unreadable("The archive is packed in an unusual way: pack the file as zip does by default.")
        return cast("BinaryIO", archive.open(wanted[0])), wanted[0].rpartition("/")[2]
    except _DAMAGED as error:
        raise Unreadable(f"The archive cannot be read: {error}.") from None


class _ReadsBounded:
    """The file of an archive, whose list of members, which zipfile reads in one piece, is limited in size."""

    def __init__(self, disk: BinaryIO) -> None:
        self._disk = disk
        self.seek, self.tell, self.seekable = disk.seek, disk.tell, disk.seekable

    def read(self, size: int = -1) -> bytes:
        if size > MAX_DIRECTORY:
            raise Unreadable("The archive holds too many files; pack one alone.")
        return self._disk.read(size)


class _Bounded(io.RawIOBase):
    """Unpacked data, limited in size."""

    def __init__(self, source: BinaryIO, packed: int) -> None:
        super().__init__()
        self._source = source
        self._most = min(MAX_UNPACKED, _GRACE + MAX_RATIO * packed)
        self._read = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        try:
            data = self._source.read(len(buffer))
        except _DAMAGED as error:
            raise Unreadable(f"The archive cannot be read: {error}.") from None
        self._read += len(data)
        if self._read > self._most:
            raise Unreadable(f"The file unpacks to more than {self._most >> 20} MiB, too much for a file of products.")
        buffer[: len(data)] = data
        return len(data)


class _Transcoded(io.RawIOBase):
    """Converts text in another encoding to UTF-8."""

    def __init__(self, source: BinaryIO, encoding: str) -> None:
        super().__init__()
        self._source = source
        self._decoder = codecs.getincrementaldecoder(encoding)("replace")
        self._left = b""
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        while not self._left and not self._ended:
            data = self._source.read(_CHUNK)
            self._ended = not data
            self._left = self._decoder.decode(data, final=self._ended).encode("utf-8", "surrogatepass")
        part, self._left = self._left[: len(buffer)], self._left[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)


# --- which encoding ---


def _known(encoding: str) -> str:
    try:
        return codecs.lookup(encoding).name
    except LookupError:
        raise Unreadable(f"There is no encoding {encoding}.") from None


def _marked(begins: bytes, chosen: str) -> tuple[str, int]:
    """Return the requested encoding, in the variant that a byte order mark indicates, and the mark's length."""
    for mark, encoding in _MARKS:
        if begins.startswith(mark) and encoding.startswith(chosen):
            return encoding, len(mark)
    return ("utf-16-le" if chosen == "utf-16" else "utf-32-le" if chosen == "utf-32" else chosen), 0


def _encoding_of(file: BinaryIO) -> tuple[str, int]:
    """Return the encoding of a file and the length of its byte order mark."""
    sample = file.read(_SAMPLE)
    for mark, encoding in _MARKS:
        if sample.startswith(mark):
            return encoding, len(mark)
    if (wide := _wide(sample)) is not None:
        return wide, 0
    looked = len(sample)
    while sample.isascii() and looked < _FAR and (more := file.read(_SAMPLE)):
        looked += len(more)
        if not more.isascii():
            sample = more
    if sample.isascii():
        return "utf-8", 0
    text = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode(sample)
    broken = sum("\udc80" <= character <= "\udcff" for character in text[4:])  # the sample may begin within a character
    if broken == 0 or broken * 4 < sum(not character.isascii() for character in text) - broken:
        return "utf-8", 0
    return _detected(sample), 0


def _wide(sample: bytes) -> str | None:
    """Recognise UTF-16 without a mark: every other byte of Latin text is 0."""
    pairs = len(sample) // 2
    if pairs == 0 or b"\0" not in sample:
        return None
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if odd > pairs * 0.4 and even < pairs * 0.05:
        return "utf-16-le"
    return "utf-16-be" if even > pairs * 0.4 and odd < pairs * 0.05 else None


_USUAL = (
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1257", "cp1255", "cp1256"),
    *("cp932", "gb18030", "cp949", "big5", "cp850", "cp852", "mac_roman"),
)
"""The encodings that shops export in, the likelier ones first, for when the detector cannot decide."""


def _detected(sample: bytes) -> str:
    """Return the detected encoding of the lines that are not ASCII; if several fit, the most plausible one."""
    from charset_normalizer import from_bytes  # noqa: PLC0415 - most files are UTF-8 and need no detector

    telling = b"\n".join(line for line in sample.splitlines() if not line.isascii())[:_CHUNK]
    found = {match.encoding: match for match in from_bytes(telling, cp_isolation=list(_USUAL), threshold=0.4)}
    if not found:
        return "cp1252"
    ranked = [
        (round(found[name].chaos, 2) + _oddness(str(found[name])), place, name)
        for place, name in enumerate(_USUAL)
        if name in found
    ]
    chosen = min(ranked)[2]
    same = telling.decode("cp1252", "replace") == str(found[chosen])  # neighbours that differ in other letters only
    return "cp1252" if same else chosen


_WORD = re.compile(r"[^\s,;|<>\"'()/]+")


def _oddness(text: str) -> float:
    """Return the share of non-ASCII characters in implausible places: signs, capitals, two scripts in one word."""
    odd = there = 0
    for match in _WORD.finditer(text):
        word = match.group()
        for before, character in zip(" " + word, word, strict=False):
            if character.isascii():
                odd += before.isalpha() and not before.isascii() and before.islower() and character.isupper()
                continue
            there += 1
            in_word = before.isalpha()
            odd += in_word and (not character.isalpha() or (before.islower() and character.isupper()))
            odd += unicodedata.category(character) in ("Co", "Cn", "Cc", "So", "Sm", "No", "Lm") and len(word) > 1
            odd += in_word and (ord(before) < _LATIN) != (ord(character) < _LATIN)
    return odd / max(there, 1)


_LATIN = 0x250
