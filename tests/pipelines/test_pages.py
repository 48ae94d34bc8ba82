"""The door of the live pages: what serves them is there while somebody looks."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from dose_lib.errors import PortInUseError
from dose_lib.settings import Settings
from pipelines.dashboards import Pages, count_visitors, open_door

# Accepts on the socket it is given, greets, and keeps the line until the visitor goes.
GREETS = """
import socket, sys, threading
door = socket.socket(fileno=int(sys.argv[-1]))
door.setblocking(True)
while True:
    line, _ = door.accept()
    line.sendall(b"hello")
    threading.Thread(target=lambda one=line: (one.recv(1), one.close()), daemon=True).start()
"""


@pytest.fixture
def door(settings: Settings) -> Iterator[socket.socket]:
    with open_door(settings) as opened:
        yield opened


def pages_of(settings: Settings, door: socket.socket, code: str, idle_s: float = 0.0) -> Pages:
    chosen = settings.model_copy(update={"dashboards_idle_minutes": idle_s / 60})
    return Pages(chosen, door, [sys.executable, "-c", code])


def visit(door: socket.socket) -> socket.socket:
    return socket.create_connection(door.getsockname(), timeout=60)


def until(pages: Pages, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        pages.look(0.01)


def test_pages_are_loaded_by_a_visitor_and_end_after_the_last(
    settings: Settings, door: socket.socket
) -> None:
    pages = pages_of(settings, door, GREETS, idle_s=0.2)
    try:
        pages.look(0.01)
        assert not pages.is_loaded
        for _ in range(2):  # the door stays open, and the next one is served as the first
            with visit(door) as line:
                until(pages, lambda: pages.is_loaded)
                assert line.recv(5) == b"hello"
                assert count_visitors(door.getsockname()[1]) >= 1
                for _ in range(40):
                    pages.look(0.01)
                assert pages.is_loaded, "somebody looks"
                assert pages.facts()["loaded"] is True
            until(pages, lambda: not pages.is_loaded)
    finally:
        pages.end()


def test_a_knock_alone_loads_them(settings: Settings, door: socket.socket) -> None:
    """As the demo does before it shows the address."""
    pages = pages_of(settings, door, GREETS)
    try:
        visit(door).close()
        until(pages, lambda: pages.is_loaded)
    finally:
        pages.end()


def test_pages_that_cannot_start_are_said_and_tried_again_later(
    settings: Settings, door: socket.socket
) -> None:
    pages = pages_of(settings, door, "raise SystemExit(3)")
    try:
        with visit(door):
            until(pages, lambda: pages.problem is not None)
            assert not pages.is_loaded
            due = pages._due
            until(pages, lambda: pages.is_loaded)
            assert pages._started >= due, "not at once"
    finally:
        pages.end()


def test_a_door_that_is_taken_is_said(settings: Settings, door: socket.socket) -> None:
    taken = settings.model_copy(update={"dashboards_port": door.getsockname()[1]})
    with pytest.raises(PortInUseError, match="DOSE_DASHBOARDS_PORT"):
        open_door(taken)
