"""Files that are small, and made to cost much: they are refused, or read with what they hold left out, and quickly.

Nothing here is timed: without the bounds most of these need minutes, or more memory than there is.
"""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from graph.catalog.importing.files import container, documents, markup, tables
from graph.catalog.importing.files.lines import MAX_ROW, TOO_LONG
from graph.catalog.importing.formats.base import Draft
from graph.catalog.importing.problems import Problem, Row, Unreadable
from graph.catalog.importing.reading import ImportOptions, Products
from graph.catalog.importing.texts import plain_text
from graph.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ROW = "sku,name,price\nA,Lamp,5\n"


def read(path: Path, content: bytes | str) -> list[Any]:
    """The products and problems of a file."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with Products(path, ImportOptions()) as products:
        return list(products)


def reasons(found: list[Any]) -> list[str]:
    """Why rows are left out."""
    return [one.reason for one in found if isinstance(one, Problem)]


def test_a_row_that_never_ends_is_left_out(tmp_path: Path) -> None:
    """Short lines, of which each begins a quoted cell that the next one ends, are one row: it is bounded as a whole."""
    content = f'{ROW}B,"x\n' + '","x\n' * (MAX_ROW // 4)
    found = read(tmp_path / "a.csv", content + '"\nC,Chair,6\n')
    assert reasons(found) == [TOO_LONG]
    assert [one.told["sku"] for one in found if not isinstance(one, Problem)] == ["A", "C"]


def test_empty_lines_are_no_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scaled: Callable[[int, int], int]
) -> None:
    """However many there are, before the columns are named and after."""
    longest = scaled(MAX_ROW, 1 << 17)  # no less than what csv takes by itself: it keeps the limit
    monkeypatch.setattr(tables, "MAX_ROW", longest)
    blank = "\n" * (longest + 10)
    found = read(tmp_path / "a.csv", f"{blank}{ROW}{blank}B,Chair,6\n")
    assert [one.told["sku"] for one in found] == ["A", "B"]


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_archive_is_unpacked_in_pieces_or_not_at_all(tmp_path: Path, method: int) -> None:
    """What would be unpacked in one piece, as large as it likes, is refused."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr("a.csv", ROW)
    with pytest.raises(Unreadable, match="unusual"):
        read(tmp_path / "a.zip", out.getvalue())


def test_an_archive_may_have_pictures_beside_the_products_but_not_any_number(tmp_path: Path) -> None:
    """Its list of members is not read if it is longer than any shop's."""

    def packed(count: int) -> bytes:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr("a.csv", ROW)
            for number in range(count):
                archive.writestr(f"{'pictures/' * 20}{number}.jpg", b"")
        return out.getvalue()

    assert len(read(tmp_path / "a.zip", packed(1000))) == 1
    with pytest.raises(Unreadable, match="too many files"):
        read(tmp_path / "b.zip", packed(5000))


@pytest.mark.parametrize("piece", ["<!--", "<!<!----", "<!-->", "<!-- --!>", "<a ", "&#", "</", '<a b="'])
def test_html_that_is_not_closed_is_read_quickly(piece: str) -> None:
    """However often something begins that never ends, the text is gone through once."""
    assert plain_text("<i>Lamp</i>" + piece * (600_000 // len(piece))).startswith("Lamp")


def test_comments_in_html_are_no_text() -> None:
    """One that does not end hides nothing after it."""
    assert plain_text("<i>Red</i> la<!-- <b>no</b> -->mp<!-- of <i>oak</i>") == "Red lamp of oak"


def test_html_of_all_kinds_becomes_text() -> None:
    """Marks within quotes, scripts, references to characters that cannot exist, quotes that do not end."""
    given = {
        "<img alt='a > b' src=x>lamp<br/>oak": "lamp\noak",
        "<script>if (a < b) { '<p>' }</script>lamp<style>p > a {}</style>": "lamp",
        "<svg><g>no</g></svg>lamp<svg/>, oak": "lamp, oak",
        f"<b>lamp</b>&#{'9' * 5000};&euro;": "lamp\ufffd€",
        '<p class="x>lamp</p>oak': "lamp\n\noak",
        "5 < 6 <b>and</b> 7 > 3": "5 < 6 and 7 > 3",
        "<p> Oak \n lamp\u00a0</p>": "Oak lamp",
        "&lt;p&gt;Oak &amp;amp; ash&lt;/p&gt;": "Oak & ash",
    }
    assert {html: plain_text(html) for html in given} == given


def test_blanks_and_brackets_are_passed_over_quickly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many megabytes of either, from a few kilobytes."""
    monkeypatch.setattr(container, "_GRACE", 1 << 30)
    monkeypatch.setattr(documents, "_MOST_SKIPPED", MAX_ROW)
    packed = gzip.compress(b"[" + b" " * (24 << 20) + b'{"sku": "A", "name": "Lamp", "price": 5}]')
    assert len(read(tmp_path / "a.json.gz", packed)) == 1
    with pytest.raises(Unreadable, match="does not end"):
        read(tmp_path / "b.json.gz", gzip.compress(b"[" * (4 << 20)))


def test_a_product_may_have_any_number_of_fields(tmp_path: Path) -> None:
    """Each is looked at once; so it is in a file whose objects have ever new ones."""
    many = [{"sku": "A", "name": "Lamp", "price": 5} | {f"k{n}": "v" for n in range(30_000)}]
    assert [one.told["sku"] for one in read(tmp_path / "a.json", json.dumps(many))] == ["A"]
    new = [{"sku": f"A{n}", "name": "Lamp", "price": 5, **{f"k{n}.{m}": "v" for m in range(20)}} for n in range(1000)]
    assert len(read(tmp_path / "b.json", json.dumps(new))) == 1000


def test_variants_do_not_multiply_a_product(tmp_path: Path) -> None:
    """A megabyte in which many variants would repeat many fields is left out; the next product is read."""
    bomb = {"sku": "A", "name": "Lamp"} | {f"k{n}": 1 for n in range(30_000)}
    empty: dict[str, Any] = {}
    shapes = ([empty] * 100_000, {"edges": [{"node": empty}] * 30_000})
    for variants in shapes:
        found = read(
            tmp_path / "a.json", json.dumps([bomb | {"variants": variants}, {"sku": "B", "name": "C", "price": 1}])
        )
        assert reasons(found) == ["It has too many variants for so many fields."]
        assert found[-1].told["sku"] == "B"


def test_a_row_of_a_feed_is_bounded_with_its_tags(monkeypatch: pytest.MonkeyPatch) -> None:
    """Elements without text, and attributes without values, count as well."""
    monkeypatch.setattr(markup, "MAX_ROW", 1000)
    for part in ("<a/>", '<a b=""/>'):
        feed = f"<rss><item><sku>A</sku>{part * 1000}</item><item><sku>B</sku></item></rss>"
        long, row = markup.feed(io.BytesIO(feed.encode()))
        assert reasons([long]) == [TOO_LONG]
        assert isinstance(row, Row)
        assert row.fields == {"sku": "B"}


def test_numbers_of_any_length_are_refused_as_they_are(tmp_path: Path) -> None:
    """An exponent is not written out, nor a number of half a million digits."""
    path = tmp_path / "a.json"
    for number in ("1e999999999", "1" * 500_000, "NaN", "-Infinity"):
        for price, stock in ((number, "1"), ("1", number)):
            path.write_text(f'[{{"sku": "A", "name": "Lamp", "price": {price}, "stock": {stock}}}]')
            with Products(path, ImportOptions()) as products:
                (draft,) = products
                assert isinstance(draft, Draft)
                with pytest.raises(Invalid) as refused:
                    products.reading.change_of(draft.told)
            assert len(str(refused.value)) < 1000
