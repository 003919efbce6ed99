from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from graph.jobs import NotBelow, file_below

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def imports(tmp_path: Path) -> Path:
    """An import directory with a file, a folder, links inwards and links outwards, and a secret beside it."""
    secret = tmp_path / "secret.csv"
    secret.write_text("secret")
    directory = tmp_path / "imports"
    (directory / "spring").mkdir(parents=True)
    (directory / "spring" / "shoes.csv").write_text("sku")
    (directory / "inward.csv").symlink_to(directory / "spring" / "shoes.csv")
    (directory / "outward.csv").symlink_to(secret)
    (directory / "out").symlink_to(tmp_path)
    (directory / "loop").symlink_to(directory / "loop")
    return directory


@pytest.mark.parametrize("path", ["spring/shoes.csv", "inward.csv", "./spring/./shoes.csv"])
def test_a_file_below_the_directory_is_found(imports: Path, path: str) -> None:
    """Files and links that stay inside are found under their real path."""
    assert file_below(imports, path) == imports / "spring" / "shoes.csv"


@pytest.mark.parametrize(
    "path",
    [
        *("", ".", "..", "../secret.csv", "spring/../../secret.csv", "/etc/passwd", "//etc/passwd", "C:\\secret.csv"),
        *("outward.csv", "out/secret.csv", "loop", "spring", "missing.csv", "a\0b", "x" * 1001, "\ud800", "~/x"),
        *("\\\\server\\share\\x.csv", "spring/shoes.csv/x"),
    ],
)
def test_nothing_outside_the_directory_can_be_named(imports: Path, path: str) -> None:
    """Traversal, absolute paths, links that lead out, folders and nonsense are all refused alike."""
    with pytest.raises(NotBelow):
        file_below(imports, path)


def test_without_an_import_directory_nothing_is_found(tmp_path: Path) -> None:
    """A directory that does not exist holds no files."""
    with pytest.raises(NotBelow):
        file_below(tmp_path / "none", "x.csv")


def test_what_was_checked_is_what_is_opened(imports: Path) -> None:
    """A file may be opened any number of times, but not when it was replaced after the check, with whatever."""
    named = imports / "spring" / "shoes.csv"
    secret = imports.parent / "secret"
    secret.write_text("secret")
    checked = file_below(imports, "spring/shoes.csv")
    for _ in range(2):
        with checked.open("rb") as file:
            assert file.read() == named.read_bytes()
    kept = named.read_bytes()
    (imports / "kept").hardlink_to(named)  # so that no other file gets its number
    named.unlink()
    for replace in (
        lambda: named.symlink_to(secret),
        lambda: named.hardlink_to(secret),
        lambda: named.write_bytes(kept),
        lambda: os.mkfifo(named),
        named.mkdir,
    ):
        replace()
        with pytest.raises(OSError, match=r".+"):
            checked.open("rb")
        if named.is_dir() and not named.is_symlink():
            named.rmdir()
        else:
            named.unlink()
