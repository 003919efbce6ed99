"""Messages leave this machine under TLS alone, on a real mail server."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from graph.accounts.messages.mail import Message, NotSent, SmtpSender
from graph.settings_accounts import MailSettings
from tests.support.clients.mailbox import Mailbox
from tests.support.engines.certificates import Certificate, certificate, needs_openssl

MESSAGE = Message("ann@example.org", "Your token", "It is 12345.")
ELSEWHERE = "2130706433"
"""127.0.0.1 in a spelling that is not plainly this machine."""
SECRET = {b"AUTH", b"MAIL", b"RCPT", b"DATA"}


async def send(mailbox: Mailbox, host: str, more: str = "") -> None:
    """Send the message as a user of the server."""
    port = mailbox.url.rpartition(":")[2]
    await SmtpSender(f"smtp://ann:secret@{host}:{port}{more}", "shop@example.org").send(MESSAGE)


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A certificate for 127.0.0.1."""
    return certificate(tmp_path_factory.mktemp("certificates"), "mail")


async def test_nothing_is_told_a_server_without_tls() -> None:
    """Neither password nor message goes to another machine that offers no STARTTLS, unless the URL allows it."""
    for host, more in ((ELSEWHERE, ""), ("127.1", ""), (ELSEWHERE, "?tls=required"), ("127.0.0.1", "?tls=required")):
        async with Mailbox() as mailbox:
            with pytest.raises(NotSent, match="STARTTLS"):
                await send(mailbox, host, more)
        assert not SECRET & set(mailbox.plain)
    for host, more in ((ELSEWHERE, "?tls=optional"), ("127.0.0.1", ""), ("localhost", "")):
        async with Mailbox() as mailbox:
            await send(mailbox, host, more)
        assert set(mailbox.plain) >= SECRET


@needs_openssl
async def test_what_is_offered_is_used(trusted: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    """With STARTTLS password and message go under TLS, and not at all to a server whose certificate is not trusted."""
    for host, more in (("127.0.0.1", ""), ("localhost", "")):  # crosses no network: its certificate does not matter
        async with Mailbox(tls=trusted.served()) as mailbox:
            await send(mailbox, host, more)
        assert not SECRET & set(mailbox.plain)
        assert set(mailbox.protected) >= SECRET
    for host, more in ((ELSEWHERE, ""), (ELSEWHERE, "?tls=optional"), ("127.0.0.1", "?tls=required")):
        async with Mailbox(tls=trusted.served()) as mailbox:
            with pytest.raises((NotSent, OSError)):
                await send(mailbox, host, more)
        assert not SECRET & {*mailbox.plain, *mailbox.protected}
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted.cert))
    async with Mailbox(tls=trusted.served()) as mailbox:
        await send(mailbox, "127.0.0.1", "?tls=required")
    assert not SECRET & set(mailbox.plain)
    assert set(mailbox.protected) >= SECRET


def test_the_url_says_only_what_there_is() -> None:
    """A word that means nothing here is refused, and not taken for the safe way."""
    for url in ("smtp://a", "smtps://u:p@a:465", "smtp://a:25?tls=optional", "smtp://[::1]:25/?tls=required"):
        assert MailSettings(url=url).url == url
    for url in (
        "smtp://a?tls=off",
        "smtp://a?tls",
        "smtp://a?starttls=no",
        "smtp://u:p?@a",
        "smtp://a?tls=optional&tls=required",
    ):
        with pytest.raises(ValidationError):
            MailSettings(url=url)
