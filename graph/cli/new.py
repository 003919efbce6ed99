"""``graph new``: makes a project of one's own, which this server runs as it is installed.

The project is a copy of ``graph/template``, in which its name stands in place of ``newproject``. It is written beside
its place and then renamed, so that it is there as a whole or not at all.
"""

import importlib.util
import keyword
import re
import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from graph.cli import support

TEMPLATE = Path(__file__).parents[1] / "template"
PLACEHOLDER = "newproject"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_STORED = {"dot-env": ".env", "dot-gitignore": ".gitignore", "pyproject.toml.in": "pyproject.toml"}
"""Files that would mean something where the template is."""

app = typer.Typer()


class BadName(ValueError):
    """A name that no project can have; the text says why."""


def check_name(name: str) -> None:
    """Raise `BadName` unless a package can have this name: it must be importable, and nobody else's."""
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        raise BadName(f"{name} is no name of a Python package: up to 40 of a-z, 0-9 and _, a letter first")
    if name in {"conftest", "tests", "test"} or importlib.util.find_spec(name) is not None:
        raise BadName(f"there is a Python package {name} already: give the project a name of its own")


def make_project(name: str, folder: Path) -> None:
    """Write the project `name` to `folder`, which must not be there; raises `BadName` or OSError."""
    from graph import __version__

    check_name(name)
    if folder.exists():
        raise FileExistsError(f"{folder} is there already")
    made = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=folder.parent))
    try:
        for source in sorted(path for path in TEMPLATE.rglob("*") if path.is_file() and path.suffix != ".pyc"):
            place = source.relative_to(TEMPLATE)
            parts = [_STORED.get(part, part.replace(PLACEHOLDER, name)) for part in place.parts]
            text = source.read_text(encoding="utf-8").replace(PLACEHOLDER, name).replace("@version@", __version__)
            file = made.joinpath(*parts)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        made.chmod(0o755)
        made.rename(folder)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Name of the project, of its folder and its Python package.")],
) -> None:
    """Make a project with a schema of your own, in a folder of its name."""
    folder = Path(name)
    try:
        make_project(name, folder)
    except (BadName, OSError) as error:
        support.fail(str(error))
    typer.echo(f"Made {folder}: a schema, a feature with its table, and tests. Next: cd {folder} && make serve")
