"""How messages are sent to users: through an SMTP server; where none is set, into the log, but not in production.

Messages carry tokens that open accounts, so they and the password of the mail server leave this machine under TLS
alone, unless the URL says ``tls=optional``.

Failure: a `MailSender` raises `OSError` or `NotSent` when a message was not sent; sending it again is safe.
"""

from __future__ import annotations

import ipaddress
import logging
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Protocol
from urllib.parse import parse_qs, unquote, urlsplit

import aiosmtplib

logger = logging.getLogger(__name__)

TIMEOUT = 30.0
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Message:
    """A plain-text message to one address."""

    to: str
    subject: str
    text: str


class NotSent(Exception):
    """The mail server did not accept a message."""


class MailSender(Protocol):
    """A way to send messages."""

    async def send(self, message: Message) -> None:
        """Send `message`; returns once the receiver has taken responsibility for delivering it."""
        ...


class LogSender:
    """Writes messages, tokens included, into the log: for development."""

    async def send(self, message: Message) -> None:
        """Log `message`."""
        logger.info("no GRAPH_MAIL_URL is set; the message to %r, %r: %s", message.to, message.subject, message.text)


class NoSender:
    """Sends nothing: a production log must not hold tokens, because anyone who reads one can open the account."""

    async def send(self, message: Message) -> None:
        """Raise `NotSent`."""
        del message
        raise NotSent("no GRAPH_MAIL_URL is set")


class SmtpSender:
    """Hands messages to an SMTP server (RFC 5321), over TLS.

    With ``smtps`` a connection begins with TLS, with ``smtp`` it changes to TLS by STARTTLS (RFC 3207), and nothing is
    sent to a server that does not offer it. A server on this machine needs neither that nor a trusted certificate,
    unless the URL says ``tls=required``. With ``tls=optional`` no server needs STARTTLS: whoever stands in between can
    leave the offer out, and read everything.
    """

    def __init__(self, url: str, sender: str) -> None:
        """Use the server at `url`, ``smtp[s]://[user:password@]host[:port][?tls=…]``; messages come from `sender`."""
        parts = urlsplit(url)
        (said,) = parse_qs(parts.query).get("tls", [""])
        self._tls = parts.scheme == "smtps"
        self._host = parts.hostname or "localhost"
        near = not said and is_loopback(self._host)
        self._checked = not near
        self._start_tls = False if self._tls else None if near or said == "optional" else True
        self._port = parts.port or (465 if self._tls else 587)
        self._user = unquote(parts.username) if parts.username is not None else None
        self._password = unquote(parts.password) if parts.password is not None else None
        self._from = sender

    async def send(self, message: Message) -> None:
        """Send `message`; raises OSError or `NotSent`."""
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = self._from, message.to, message.subject
        mail.set_content(message.text)
        try:
            await aiosmtplib.send(
                mail,
                hostname=self._host,
                port=self._port,
                username=self._user,
                password=self._password,
                use_tls=self._tls,
                start_tls=self._start_tls,
                validate_certs=self._checked,
                timeout=TIMEOUT,
            )
        except aiosmtplib.SMTPException as error:
            raise NotSent(str(error)) from error


def is_loopback(host: str) -> bool:
    """Whether `host` is certainly this machine, so that nothing sent to it crosses a network."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
