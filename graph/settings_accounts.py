"""The settings of accounts and of messages to users; `graph.settings` says how settings are read."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, FilePath, SecretStr
from pydantic_settings import SettingsConfigDict

from graph.settings_group import PREFIX, SettingsGroup


class AccountSettings(SettingsGroup):
    """Signing in."""

    model_config = SettingsConfigDict(env_prefix=f"{PREFIX}ACCOUNTS_")

    secure_cookie: bool = Field(
        default=False,
        description="Set where TLS ends before this server: the session cookie is then Secure, named `__Host-session`",
    )
    first_admin: str = Field(
        default="admin@example.com",
        description="Email of the ADMIN created if there are no users, or `none`; the password is shown once on a "
        "terminal, else in the file `first-admin-password` of the data directory",
    )
    first_password: SecretStr | None = Field(
        default=None, description="Password of that ADMIN in place of a random one; to be changed at the first sign-in"
    )
    first_password_file: FilePath | None = Field(default=None, description="File that holds it, alone on a line")
    idle: float = Field(default=86_400.0, ge=300, description="Seconds after its last use at which a session ends")
    lifetime: float = Field(default=30 * 86_400.0, ge=300, description="Seconds after which it ends in any case")
    sessions: int = Field(default=20, ge=1, description="Sessions a user may have; one more ends the least used")
    attempts: int = Field(default=10, ge=1, description="Guesses from a network at an account in 15 minutes")
    attempts_per_address: int = Field(
        default=100, ge=1, description="Passwords that may be tried from one address in 15 minutes"
    )
    registrations: int = Field(default=20, ge=1, description="Accounts that one address may create in an hour")
    deleted_scores: Literal["anonymise", "remove"] = Field(
        default="anonymise",
        description="What becomes of the scores of a deleted user: they stay, under a player without a name, or go "
        "(docs/leaderboards.md)",
    )
    hash_threads: int = Field(
        default=0, ge=0, description="Threads that hash passwords; 0: one for every two processors"
    )


class MailSettings(SettingsGroup):
    """Messages to users."""

    model_config = SettingsConfigDict(env_prefix=f"{PREFIX}MAIL_")

    url: str | None = Field(
        default=None,
        pattern=r"^smtps?://([^/@?#]+@)?(\[[\da-fA-F:]+\]|[^/@:?#]+)(:\d{1,5})?/?(\?tls=(required|optional))?$",
        description="`smtp[s]://user:password@host:port` of a mail server, which must offer STARTTLS unless it is on "
        "this machine or `?tls=optional` follows; unset: the log, nothing in production",
    )
    sender: str = Field(default="graph@localhost", description="Address that messages come from")
    reset_page: str | None = Field(
        default=None, description="URL of your page that resets a password; `{token}` in it stands for the token"
    )
    confirm_page: str | None = Field(default=None, description="The same for confirming an address")
