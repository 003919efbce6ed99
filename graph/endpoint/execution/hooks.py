"""The hooks of a schema's extensions, run as Strawberry runs them, without looking each of them up again.

Strawberry's `SchemaExtensionsRunner` finds out anew for every operation which hooks an extension has and what kind of
function each is, and wraps them into context managers: a third of the time of a small operation. Here that is found out
once a class. What an extension sees is the same; where a hook fails before execution, those before it are closed, too.

Failure: what a hook raises, or what is raised within its phase, is raised to whoever runs the phase. No hook can
suppress it, as under Strawberry: an operation that one extension refused does not run because another one caught that.
"""

from __future__ import annotations

from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
)
from functools import lru_cache
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from typing import TYPE_CHECKING, Any, NamedTuple

from strawberry.extensions import SchemaExtension
from strawberry.extensions.runner import SchemaExtensionsRunner

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Sequence
    from types import TracebackType


class Hook(NamedTuple):
    """A hook of an extension class: called with an instance, `make` gives the context manager around a phase."""

    make: Callable[[SchemaExtension], Any]
    is_async: bool


@lru_cache(maxsize=1024)
def hook_of(extension: type[SchemaExtension], name: str) -> Hook | None:
    """The hook `name` of a class, or None where it has only the inherited one that does nothing."""
    function: Any = getattr(extension, name)
    if function is getattr(SchemaExtension, name):
        return None
    if isasyncgenfunction(function):
        return Hook(asynccontextmanager(function), is_async=True)
    if isgeneratorfunction(function):
        return Hook(contextmanager(function), is_async=False)
    if iscoroutinefunction(function):
        return Hook(_before_async(function), is_async=True)
    return Hook(_before(function), is_async=False)


def _before_async(function: Any) -> Callable[[SchemaExtension], AbstractAsyncContextManager[None]]:
    """Make a coroutine hook, which runs only before its phase, a context manager."""

    @asynccontextmanager
    async def around(extension: SchemaExtension) -> AsyncGenerator[None]:
        await function(extension)
        yield

    return around


def _before(function: Any) -> Callable[[SchemaExtension], AbstractContextManager[None]]:
    """Make a plain function hook a context manager, too."""

    @contextmanager
    def around(extension: SchemaExtension) -> Generator[None]:
        function(extension)
        yield

    return around


class Phase:
    """The hooks around one phase of an operation, entered in the order of the extensions and left in reverse."""

    __slots__ = ("_entered", "empty", "hooks")

    def __init__(self, extensions: Sequence[SchemaExtension], name: str) -> None:
        """Gather the hooks called `name`."""
        self.hooks = [(one, hook) for one in extensions if (hook := hook_of(type(one), name)) is not None]
        self.empty = not self.hooks
        self._entered: list[tuple[Any, bool]] = []

    async def __aenter__(self) -> None:
        for extension, hook in self.hooks:
            manager = hook.make(extension)
            try:
                if hook.is_async:
                    await manager.__aenter__()
                else:
                    manager.__enter__()
            except BaseException as error:
                await self.__aexit__(type(error), error, error.__traceback__)
                raise
            self._entered.append((manager, hook.is_async))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave them."""
        last = error
        while self._entered:
            manager, is_async = self._entered.pop()
            seen = (None, None, None) if last is None else (type(last), last, last.__traceback__)
            try:
                if is_async:
                    await manager.__aexit__(*seen)
                else:
                    manager.__exit__(*seen)
            except BaseException as other:  # noqa: BLE001 - raised below, once all are left
                last = other
        if last is not None and last is not error:
            raise last


class HooksRunner(SchemaExtensionsRunner):
    """Strawberry's runner with these phases."""

    def operation(self) -> Any:
        """Around the whole operation."""
        return Phase(self.extensions, "on_operation")

    def parsing(self) -> Any:
        """Around parsing."""
        return Phase(self.extensions, "on_parse")

    def validation(self) -> Any:
        """Around validation."""
        return Phase(self.extensions, "on_validate")

    def executing(self) -> Any:
        """Around execution."""
        return Phase(self.extensions, "on_execute")

    @property
    def sees_stream_results(self) -> bool:
        """Whether an extension looks at each result of a stream."""
        return any(hook_of(type(one), "on_stream_result") is not None for one in self.extensions)

    async def show(self, result: Any) -> None:
        """Have extensions see, and change, one result of a stream."""
        if self.sees_stream_results:
            async with self.on_stream_result(result):
                pass
