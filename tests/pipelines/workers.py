"""Worker processes that misbehave: what a defect of a reader could do to its process."""

from __future__ import annotations

import os
import time
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec

from dose_lib import load_settings
from pipelines import worker
from pipelines.defects import Failure

POISON, SLOW, DEFECT = b"POISON", b"SLOW", b"DEFECT"
MENDED = "mended"


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


def serve_and_fail(connection: Connection, home: str) -> None:
    """A worker whose reader has a defect, until the file `mended` is there."""
    real = worker.Worker.read

    def read(self: worker.Worker, path: Path) -> worker.ReadObject:
        found = real(self, path)
        if DEFECT not in path.read_bytes() or (Path(home) / MENDED).exists():
            return found
        failure = Failure(seen="the reader failed", defect="ct.py:12 dose > KeyError")
        return msgspec.structs.replace(found, parts=(), failure=failure)

    worker.Worker.read = read  # type: ignore[method-assign]  # in a process of its own
    worker.serve(connection, home)


def serve_nothing(connection: Connection, home: str) -> None:
    """A worker that ends before it has started."""
    os._exit(3)
