"""Measuring processes that misbehave: what hostile pixels could do to a decoder."""

from __future__ import annotations

import os
import time
from multiprocessing.connection import Connection


def sleep_on(connection: Connection) -> None:
    """Never comes back."""
    connection.send_bytes(b"{}")
    time.sleep(3600)


def die(connection: Connection) -> None:
    """Falls over each picture."""
    connection.send_bytes(b"{}")
    connection.recv_bytes()
    os._exit(11)
