"""What one socket may take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SocketLimits:
    """Bounds of a socket; durations in seconds, sizes in bytes.

    `queue` is how many results of one operation may wait for a slow client.
    """

    init_timeout: float = 10.0
    ping_interval: float = 20.0
    pong_timeout: float = 10.0
    operations: int = 100
    message_size: int = 100_000
    queue: int = 100
    json_depth: int = 64
