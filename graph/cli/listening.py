"""What is tried before ``graph serve`` loads the application: whether it can listen, speak TLS and keep data.

Whatever is wrong ends the command at once, with one sentence that says what to do instead.
"""

import contextlib
import socket
import ssl
from collections.abc import Generator

from graph.cli import support
from graph.engines.disk import DiskError, check_directory
from graph.settings import ServerSettings


@contextlib.contextmanager
def listening(server: ServerSettings) -> Generator[socket.socket]:
    """The socket to serve on, once nothing speaks against serving."""
    check_tls(server)
    try:
        check_directory(server.data_dir)
    except DiskError as error:
        support.fail(str(error))
    with listen(server.host, server.port) as listener:
        yield listener


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, or the end of the command with what to do instead."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        support.fail(f"cannot listen on {host}: {error.strerror}")
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except OSError as error:
        listener.close()
        support.fail(
            f"cannot listen on {host}:{port}: {error.strerror}. Another port: GRAPH_PORT={port + 1} graph serve"
        )
    return listener


def check_tls(server: ServerSettings) -> None:
    """End the command with what to do if the certificate and the key are not there, or not a pair."""
    if server.tls_certificate is None:
        if server.tls_key is not None:
            support.fail("GRAPH_TLS_KEY says how to speak TLS: it needs GRAPH_TLS_CERTIFICATE")
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(server.tls_certificate, server.tls_key, lambda: "")
    except OSError as error:
        support.fail(
            f"GRAPH_TLS_CERTIFICATE={server.tls_certificate} and GRAPH_TLS_KEY={server.tls_key or ''} are not a "
            f"certificate and its unencrypted key, in PEM: {error.strerror or error}"
        )
