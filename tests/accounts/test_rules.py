"""What an email, a name and a password may be."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.accounts import rules
from graph.errors import Invalid


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("Ann@Example.ORG", "ann@example.org"),
        (" ann@example.org\n", "ann@example.org"),
        ("STRASSE@example.org", "strasse@example.org"),
        ("straße@example.org", "strasse@example.org"),
        ("E\u0301@example.org", "\u00e9@example.org"),
        ("ΣΊΣΥΦΟΣ@example.org", "σίσυφοσ@example.org"),
        ("a@BÜCHER.example", "a@xn--bcher-kva.example"),
        ("a@xn--bcher-kva.example", "a@xn--bcher-kva.example"),
        ("a@例え.テスト", "a@xn--r8jz45g.xn--zckzah"),
        ("אב@example.org", "אב@example.org"),
        ("first.last+tag@sub.example.co.uk", "first.last+tag@sub.example.co.uk"),
        ("o'brien@example.org", "o'brien@example.org"),
    ],
)
def test_email_key(written: str, key: str) -> None:
    """Case, composition, surrounding space and the form of the domain do not make another address."""
    assert rules.email_key(written) == key


@pytest.mark.parametrize(
    "written",
    [
        *("", "@", "a@", "@b.org", "a", "a b@example.org", "a@b", "a@b..org", ".a@example.org", "a.@example.org"),
        *(
            "a..b@example.org",
            "a@@example.org",
            "a@exa mple.org",
            "a@-b.org",
            '"a"@example.org',
            "a@[::1]",
            "a,b@c.org",
        ),
        *("a\x00@example.org", "a@example.org\x00", "a\ud800@example.org", "a@\udfff.org", "a\u202e@example.org"),
        *("a\u200b@example.org", "a\u00ad@example.org", "<a@example.org>", "a@example.org,b@example.org"),
        *("a" * 65 + "@example.org", "a@" + "b" * 64 + ".org", "a@" + "b." * 150 + "org", "x" * 1_000_000),
    ],
)
def test_what_is_no_email(written: str) -> None:
    """What cannot be delivered to, could be mistaken for another address or cannot be stored is refused."""
    assert rules.email_key(written) is None
    with pytest.raises(Invalid) as refusal:
        rules.check_email(written)
    assert refusal.value.field == "email"


@given(st.text(max_size=300))
def test_a_key_is_its_own_key(written: str) -> None:
    """Whatever text comes, a key is plain enough to be stored by any engine, and has itself as its key."""
    for text in (written, f"{written}@example.org", f"a@{written}.org"):
        key = rules.email_key(text)
        if key is not None:
            assert rules.email_key(key) == key
            assert key.isprintable()
            assert key == unicodedata.normalize("NFC", key)
            assert len(key) <= rules.MAX_EMAIL


@given(st.text(max_size=100))
def test_any_name_is_taken_or_refused(written: str) -> None:
    """A name that is taken is one storable line without directions of its own; every other is refused by a rule."""
    try:
        name = rules.check_display_name(written)
    except Invalid as refusal:
        assert refusal.field == "displayName"  # noqa: PT017 - both outcomes are right
    else:
        assert 0 < len(name) <= rules.MAX_NAME
        assert rules.check_display_name(name) == name
        name.encode()


@pytest.mark.parametrize(
    "password",
    [
        *("password", "Password1", "PASSWORD123", "12345678", "123456789", "qwertyuiop", "QwErTy123", "iloveyou"),
        *("iloveyou1", "letmein123", "football1", "baseball!", "superman2020", "trustno1", "sunshine99", "princess1"),
        *(
            "zxcvbnm123",
            "1q2w3e4r",
            "1qaz2wsx",
            "asdfghjkl",
            "abcd1234",
            "a1b2c3d4",
            "passw0rd",
            "p@ssw0rd!",
            "11111111",
        ),
        *("welcome123", "admin123", "administrator", "changeme", "qazwsxedc", "michael1", "jennifer", "liverpool1"),
        *(
            "\u043f\u0430\u0440\u043e\u043b\u044c123",
            "йцукенгшщз",
            "motdepasse",
            "correcthorsebatterystaple",
            "ffffffffffff",
            "\U0001f600" * 8,
        ),
    ],
)
def test_the_commonest_passwords_are_refused(password: str) -> None:
    """What leaks show to be chosen most is refused in any case and with the endings that people add."""
    with pytest.raises(Invalid, match="first that an attacker tries"):
        rules.check_password(password)


@pytest.mark.parametrize(
    "password",
    ["ann@example.org", "Ann@Example.org1", "annabella", "Annabella123", "annabella1984", "annabella!"],
)
def test_what_is_known_of_the_user_is_no_password(password: str) -> None:
    """One's own email, its first part or name, as it is or with an ending, is refused."""
    known = ("ann@example.org", "Annabella")
    with pytest.raises(Invalid, match="first that an attacker tries"):
        rules.check_password(password, *known)
    rules.check_password(f"{password} and a unicorn", *known)


@pytest.mark.parametrize(
    "password",
    [
        "lowercaseonlyphrase",
        "        x        ",
        "0xDEADBEEF!",
        "ünïcödé",
        "nul\x00 byte",
        "\u202eoverride",
        "日本語日本語日本",
    ],
)
def test_no_rules_of_composition(password: str) -> None:
    """Length and the list are all there is to it: any Unicode counts, each code point as one."""
    padded = password + "~" * max(0, 8 - len(password))
    assert rules.check_password(padded) == padded.encode()


def test_the_length_of_a_password() -> None:
    """From 8 to 256 characters, counted after composition; the same password in two forms is one."""
    for length, fits in ((7, False), (8, True), (256, True), (257, False), (1_000_000, False)):
        text = ("éa" * length)[:length]
        for form in (unicodedata.normalize("NFC", text), unicodedata.normalize("NFD", text)):
            if fits:
                assert rules.check_password(form) == text.encode()
            else:
                with pytest.raises(Invalid, match="characters"):
                    rules.check_password(form)
    with pytest.raises(Invalid, match="Unicode"):
        rules.check_password("12345678\ud800")
    assert rules.password_bytes("\ud800") is None


def test_huge_input_costs_nothing() -> None:
    """A megabyte of anything is refused before any work is done on it."""
    huge = "e\u0301" * 500_000
    began = time.thread_time()
    unicodedata.normalize("NFKC", huge).casefold()
    whole, began = time.thread_time() - began, time.thread_time()
    assert rules.email_key(huge) is None
    assert rules.password_bytes(huge) is None
    with pytest.raises(Invalid):
        rules.check_display_name(huge)
    with pytest.raises(Invalid):
        rules.check_password(huge)
    assert time.thread_time() - began < whole / 2


def test_the_list_is_folded() -> None:
    """A stem that is not case folded could never match."""
    assert all(stem == unicodedata.normalize("NFC", stem).casefold() for stem in rules.common_stems())
    assert len(rules.common_stems()) > 2_000
