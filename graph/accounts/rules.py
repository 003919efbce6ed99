"""The rules for emails, display names and passwords.

Passwords follow NIST SP 800-63B, section 3.1.1: a length, no composition rules, any Unicode, and a list of common
passwords. Emails are compared by `email_key`: composed (NFC), case folded, the domain in its ASCII form, so that
``Bücher@EXAMPLE.org`` and ``bücher@example.org`` are one account on both engines.

A value that breaks a rule raises `Invalid` with the field's name (as the API spells it) and a readable sentence.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from importlib.resources import files

import idna

from graph.errors import Invalid

MIN_PASSWORD = 8
MAX_PASSWORD = 256
MAX_EMAIL = 254
MAX_LOCAL_PART = 64
MAX_NAME = 64

GUESTS = "guests.invalid"
DELETED = "deleted.invalid"
"""Domains of the placeholder addresses of users without an email; nothing is ever sent to them (RFC 2606)."""

_LOCAL_PART = re.compile(r"[^\s@\"(),:;<>\[\\\]]+")
_FORBIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
_INVISIBLE_LETTERS = "\u200c\u200d"  # joiners, which Persian and several Indic scripts need
_ENDINGS = (
    *("", "1", "12", "123", "1234", "12345", "123456", "!", "!!", "1!", "123!", "@123", "#1", "0", "00", "01", "007"),
    *("11", "22", "69", "77", "88", "99", "321", "666", "777", "786", "888", "999", ".", "?", "*"),
    *(str(year) for year in range(1970, 2031)),
)


def email_key(value: str) -> str | None:
    """Return a key that all spellings of one address share; None if this is not an address."""
    if len(value) > MAX_EMAIL * 4:
        return None
    text = unicodedata.normalize("NFC", value).strip()
    local, at, domain = text.rpartition("@")
    if not at or len(text) > MAX_EMAIL or len(local) > MAX_LOCAL_PART or not _is_local_part(local):
        return None
    try:
        ascii_domain = idna.encode(domain, uts46=True).decode()
    except (idna.IDNAError, UnicodeError):
        return None
    key = f"{unicodedata.normalize('NFC', local.casefold())}@{ascii_domain.lower()}"
    return key if "." in ascii_domain and len(key) <= MAX_EMAIL else None


def _is_local_part(local: str) -> bool:
    dotted = local.startswith(".") or local.endswith(".") or ".." in local
    return not dotted and _LOCAL_PART.fullmatch(local) is not None and _is_plain(local)


def _is_plain(text: str) -> bool:
    """Whether a character is no control, surrogate, invisible or reordering character, and is assigned in Unicode."""
    categories = {unicodedata.category(one) for one in text}
    return not categories & _FORBIDDEN and "Cn" not in categories


def check_email(value: str) -> tuple[str, str]:
    """Return the address as it will be shown, and its key; raises `Invalid`."""
    key = email_key(value)
    if key is None or key.endswith((f"@{GUESTS}", f"@{DELETED}")):
        raise Invalid("email", "This is not an email address.")
    return unicodedata.normalize("NFC", value).strip(), key


def check_display_name(value: str) -> str:
    """Return the name: one line of at most 64 characters, in any script, that cannot garble the text around it."""
    if len(value) > MAX_NAME * 4:
        raise Invalid("displayName", f"A display name has at most {MAX_NAME} characters.")
    name = " ".join(unicodedata.normalize("NFC", value).split())
    if not name.strip(_INVISIBLE_LETTERS):
        raise Invalid("displayName", "A display name is needed.")
    if len(name) > MAX_NAME:
        raise Invalid("displayName", f"A display name has at most {MAX_NAME} characters.")
    for character in name:
        if unicodedata.category(character) in _FORBIDDEN and character not in _INVISIBLE_LETTERS:
            raise Invalid("displayName", f"Character U+{ord(character):04X} is not allowed in a display name.")
    return name


def password_bytes(value: str) -> bytes | None:
    """Return the bytes to hash: the composed (NFC) text in UTF-8; None for a text that cannot be a password."""
    if len(value) > MAX_PASSWORD * 4:
        return None
    try:
        return unicodedata.normalize("NFC", value).encode()
    except UnicodeEncodeError:  # a lone surrogate
        return None


def check_password(value: str, *known: str, field: str = "password") -> bytes:
    """Check a new password of a user whose email and name are `known`; returns `password_bytes`, raises `Invalid`."""
    password = password_bytes(value)
    length = len(unicodedata.normalize("NFC", value)) if password is not None else 0
    if password is None and len(value) <= MAX_PASSWORD:
        raise Invalid(field, "This text is not valid Unicode.")
    if password is None or length > MAX_PASSWORD:
        raise Invalid(field, f"A password has at most {MAX_PASSWORD} characters.")
    if length < MIN_PASSWORD:
        raise Invalid(field, f"A password has at least {MIN_PASSWORD} characters.")
    if is_common(value, *known):
        raise Invalid(field, "This password is one of the first that an attacker tries.")
    return password


# --- common passwords ---


def is_common(password: str, *known: str) -> bool:
    """Whether the password is on the list of the commonest, or consists of its user's email or name."""
    folded = unicodedata.normalize("NFC", password).casefold()
    own = {part for text in known for part in (text.casefold(), text.casefold().partition("@")[0])}
    stems = [folded.removesuffix(ending) for ending in _ENDINGS if folded.endswith(ending)]
    return len(set(folded)) == 1 or any(stem in own or stem in common_stems() for stem in stems)


@cache
def common_stems() -> frozenset[str]:
    """Return the list of common passwords, case folded and without the usual endings (`_ENDINGS`)."""
    text = files("graph.accounts").joinpath("common_passwords.txt").read_text(encoding="utf-8")
    return frozenset(line for line in text.split("\n") if line and not line.startswith("#"))
