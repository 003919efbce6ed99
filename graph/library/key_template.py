"""Keys of cached values as a template of arguments, in which no argument can be taken for another.

`str.format` alone does not promise that: with ``{a}:{b}``, "x:y" and "z" would share a key with "x" and "y:z", and each
pair would get what was kept for the other. So of whatever stands between two arguments one character, the colon here,
is percent-encoded within arguments, as is ``%``. So is the first character of a text that reads as a number, a boolean
or None does, which is no text. Where nothing usable stands between two arguments a colon is put there. Anything else is
in the key as it is: ``recipe:5`` for ``recipe:{number}``.

What the template leaves out does not count: an argument that it does not name, and what the text of an object, or a
format after a colon, does not show.
"""

from __future__ import annotations

from string import Formatter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_FORMATTER = Formatter()
_CONSTANTS = frozenset({"None", "True", "False"})
_ENCODING = frozenset("%0123456789ABCDEF")
"""What encoded characters are made of: none of these can tell where an argument ends."""


class KeyTemplate:
    """A template of `str.format`, whose fields name arguments."""

    def __init__(self, template: str) -> None:
        """Read `template`."""
        self._fields: list[tuple[str, tuple[str, str, str | None]]] = []
        reserved = {"%"}
        before = ""
        for literal, name, form, conversion in _FORMATTER.parse(template):
            before += literal
            if name is None:  # a brace that stands for itself, or the end
                continue
            if self._fields:
                usable = sorted((one for one in before if one not in _ENCODING), key=str.isalnum)
                before += "" if usable else ":"
                reserved.add(usable[0] if usable else ":")
            self._fields.append((before, (name, form or "", conversion)))
            before = ""
        self._end = before
        self._encoded = {ord(one): _percent(one) for one in reserved}

    def format(self, given: Mapping[str, Any]) -> str:
        """The key for the arguments `given`."""
        return "".join(before + self._part(*field, given) for before, field in self._fields) + self._end

    def _part(self, name: str, form: str, conversion: str | None, given: Mapping[str, Any]) -> str:
        value = _FORMATTER.get_field(name, (), given)[0]
        is_text = isinstance(value, str)
        if conversion is not None:
            value = _FORMATTER.convert_field(value, conversion)  # pyright: ignore[reportArgumentType] - one of three letters
        text = format(value, _FORMATTER.vformat(form, (), given))
        encoded = text.translate(self._encoded)
        return _percent(text[0]) + encoded[1:] if is_text and _reads_as_other(text) else encoded


def _reads_as_other(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text in _CONSTANTS
    return True


def _percent(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))
