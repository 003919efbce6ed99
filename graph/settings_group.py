"""What a group of settings is: fields whose variables are the group's prefix and the field's name in capitals."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Self

from pydantic import ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

if TYPE_CHECKING:
    from pydantic_settings import PydanticBaseSettingsSource

PREFIX = "GRAPH_"


class SettingsError(ValueError):
    """A variable whose value makes no sense; the text names it and says why."""


def without_password(url: str) -> str:
    """`url` fit to be shown: no password, neither before the host nor in the query."""
    url = re.sub(r"://([^:/@]*):.*@", r"://\1:***@", url)
    return re.sub(r"(password=)[^&]*", r"\1***", url)


class SettingsGroup(BaseSettings):
    """Settings of one concern. Built plainly it holds its defaults; `from_environment` reads the variables."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_ignore_empty=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic-settings' own
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the same
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the same
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the same
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let a plain construction read no environment."""
        return (init_settings,)

    @classmethod
    def variable(cls, field: str) -> str:
        """The environment variable of `field`."""
        return f"{cls.model_config.get('env_prefix', PREFIX)}{field}".upper()

    @classmethod
    def from_environment(cls) -> Self:
        """Read the variables of this group."""
        try:
            return cls(**EnvSettingsSource(cls)())
        except ValidationError as error:
            first = error.errors()[0]
            variable, value = cls.variable(str(first["loc"][0])), without_password(str(first["input"]))
            raise SettingsError(f"{variable}={value!r}: {first['msg'][:1].lower()}{first['msg'][1:]}") from None
