"""Certificates for tests, made by the openssl command."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from pathlib import Path

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command makes the certificates")


class Certificate(NamedTuple):
    """PEM files of a certificate that signs itself, for ``localhost`` and ``127.0.0.1``, and of its key."""

    cert: Path
    key: Path

    def served(self, *, to: Path | None = None) -> ssl.SSLContext:
        """What a server needs that has this certificate and, with `to`, wants that one of its clients."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, self.key)
        if to is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(to)
        return context


def certificate(folder: Path, name: str) -> Certificate:
    """Make one in `folder`."""
    made = Certificate(folder / f"{name}.pem", folder / f"{name}.key")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-days", "2", "-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
            *("-keyout", str(made.key), "-out", str(made.cert)),
        ],
        check=True,
        capture_output=True,
    )
    return made
