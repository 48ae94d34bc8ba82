"""Worker processes that misbehave: what a defect of a reader could do to its process."""

from __future__ import annotations

import os
import time
from multiprocessing.connection import Connection
from pathlib import Path

from dose_lib import load_settings
from pipelines import worker

POISON, SLOW = b"POISON", b"SLOW"


def serve_and_die(connection: Connection, home: str) -> None:
    """A worker that is gone in the middle of objects that hold `POISON`."""
    real = worker.Worker(load_settings(Path(home)))
    try:
        connection.send_bytes(worker.encode(worker.Ready()))
        while True:
            request = worker.decode_request(connection.recv_bytes())
            if isinstance(request, worker.Detect):
                connection.send_bytes(worker.encode(worker.Detected(batch=request.batch)))
                continue
            for path in request.paths:
                content = Path(path).read_bytes()
                if POISON in content:
                    os._exit(9)
                if SLOW in content:
                    time.sleep(3600)
                connection.send_bytes(worker.encode(real.read(Path(path))))
    except (EOFError, BrokenPipeError):
        return
