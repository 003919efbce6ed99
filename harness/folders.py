"""Directories for servers that listen on unix sockets."""

from __future__ import annotations

import os
import shlex
import tempfile
from pathlib import Path

_LONGEST = 60
"""Bytes: what comes behind it in the address of a socket, which has room for 103 on every system, is shorter."""


def socket_folder(prefix: str) -> Path:
    """Make a temporary directory whose path fits into a socket's address, and means nothing in a URL or to a shell.

    It lies in ``/tmp`` where the usual place is too long or has such characters.
    """
    usual = tempfile.gettempdir()
    fits = len(os.fsencode(usual)) <= _LONGEST and shlex.quote(usual) == usual and "%" not in usual
    return Path(tempfile.mkdtemp(prefix=prefix, dir=usual if fits else "/tmp"))
