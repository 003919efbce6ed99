"""A pytest plugin for Strawberry's suite: schemas run on the compiled executor, and the router serves them.

Two things are exchanged. A schema executes as if `graph.library.Compiled` were among its extensions, but the extension
itself is not there, for tests count extensions. And the client of Strawberry's ASGI view
(``tests/http/clients/asgi.py``) speaks with `FastGraphQL` in its place; the tests of the other views are left out.
With ``SUITE_STOCK=1`` nothing is exchanged.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from typing import TYPE_CHECKING, Any

import strawberry.utils
from strawberry.schema import Schema

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

_STOCK = os.environ.get("SUITE_STOCK") == "1"
_VIEWS = ("aiohttp", "chalice", "channels", "django", "fastapi", "flask", "litestar", "quart", "sanic")


class Hooks:
    """Hooks of pytest-emoji, which the suite implements and does not need."""

    def pytest_emoji_skipped(self, config: Any) -> Any:
        """What a skipped test shows."""

    def pytest_emoji_xfailed(self, config: Any) -> Any:
        """What a test shows that fails as expected."""


def pytest_addhooks(pluginmanager: Any) -> None:
    """Have the suite's ``conftest.py`` accepted, and exchange what is to be tried before it is read."""
    pluginmanager.add_hookspecs(Hooks())
    for version in ("32", "33"):  # a suite from before Strawberry asked for graphql-core 3.3 asks which it is
        if not hasattr(strawberry.utils, f"IS_GQL_{version}"):
            setattr(strawberry.utils, f"IS_GQL_{version}", version == "33")
    if _STOCK:
        return
    _compile_all()
    sys.meta_path.insert(0, _Clients())


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests of other views."""
    kept = [one for one in items if not any(one.get_closest_marker(view) for view in _VIEWS)]
    config.hook.pytest_deselected(items=[one for one in items if one not in kept])
    items[:] = kept


def _compile_all() -> None:
    from graph.library.compiled import compiling

    made: Any = Schema._create_execution_context  # pyright: ignore[reportPrivateUsage] - every execution begins here

    def create(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not hasattr(self.execution_context_class, "compiled_documents"):
            self.execution_context_class = compiling(self)
        return made(self, *args, **kwargs)

    cast_schema: Any = Schema
    cast_schema._create_execution_context = create


class _Clients:
    """Finds the suite's module of the ASGI client, and puts ours into it once it is imported."""

    _NAME = "tests.http.clients.asgi"

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        """Let the others find it; then have it changed when it is executed."""
        if name != self._NAME:
            return None
        sys.meta_path.remove(self)  # pyright: ignore[reportArgumentType]
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.loader is not None
        execute: Callable[[Any], None] = spec.loader.exec_module

        def exec_module(module: Any) -> None:
            execute(module)
            from harness.suites.router_client import router_client

            module.AsgiHttpClient = router_client(module.AsgiHttpClient)

        spec.loader.exec_module = exec_module  # pyright: ignore[reportAttributeAccessIssue]
        return spec
