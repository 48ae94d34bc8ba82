"""Notebooks to run in tests, and a browser that may reach nothing but this machine."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest

from dose_lib.settings import Settings, load_settings
from tests.conftest import require
from tests.notebooks.exams import department, fill

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
MakeNotebook = Callable[..., Path]


@pytest.fixture
def make_notebook(tmp_path: Path) -> MakeNotebook:
    """Writes a notebook of given cells: markdown starts with #, a tuple is (source, *tags)."""

    def make(*cells: str | tuple[str, ...], name: str = "question.ipynb") -> Path:
        made = []
        for cell in cells:
            source, *tags = (cell,) if isinstance(cell, str) else cell
            if source.startswith("#") and not tags:
                made.append(nbformat.v4.new_markdown_cell(source))
            else:
                made.append(nbformat.v4.new_code_cell(source, metadata={"tags": tags}))
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        node = nbformat.v4.new_notebook(cells=made, metadata={"kernelspec": kernel})
        path = tmp_path / name
        nbformat.write(node, path)
        return path

    return make


@pytest.fixture(scope="module")
def filled_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a department's exams; for tests that only read."""
    home = tmp_path_factory.mktemp("filled") / "home"
    fill(load_settings(home), department(), with_levels=True)
    return home


@dataclass
class Seen:
    """What a browser saw that it must not see."""

    page: Page
    outside: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def assert_clean(self) -> None:
        """Nothing asked of another machine, nothing failed, nothing in the console."""
        assert self.outside == []
        assert self.failed == []
        assert self.errors == []


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A real Chromium, without network of its own."""
    program = require("chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        opened = play.chromium.launch(executable_path=program, args=CHROMIUM)
        yield opened
        opened.close()


@pytest.fixture
def look(browser: Browser) -> Iterator[Callable[..., Seen]]:
    """Opens a page in a fresh profile; everything beyond this machine is blocked and noted."""
    contexts = []

    def open_page(width: int = 1280, height: int = 900, **options: Any) -> Seen:
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        seen = Seen(context.new_page())

        def route(handled: Any) -> None:
            url = handled.request.url
            if url.startswith(("http://127.0.0.1:", "file:", "data:", "blob:")):
                handled.continue_()
            else:
                seen.outside.append(url)
                handled.abort()

        context.route("**/*", route)
        page = seen.page
        page.on("requestfailed", lambda r: seen.failed.append(f"{r.failure} {r.url}"))
        page.on("response", lambda r: r.status > 399 and seen.failed.append(f"{r.status} {r.url}"))
        page.on("pageerror", lambda error: seen.errors.append(str(error)))
        page.on("console", lambda m: seen.errors.append(m.text) if m.type == "error" else None)
        return seen

    yield open_page
    for context in contexts:
        context.close()


def free_port() -> int:
    """A port of this machine that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[Settings, Sequence[Path]], str]]:
    """Serves notebooks as `dose dashboards` does; returns the address."""
    from dose_lib.live import dashboard_command, dashboard_environment

    started: list[subprocess.Popen[bytes]] = []

    def start(settings: Settings, notebooks: Sequence[Path], plain: bool = False) -> str:
        port = free_port()
        command = dashboard_command(settings, port=port, notebooks=notebooks)
        if plain:  # what Panel does with the notebook itself
            at = command.index("serve") + 1
            command[at : command.index("--setup")] = map(str, notebooks)
        environment = dashboard_environment(settings) | {
            "DOSE_DASHBOARDS_REFRESH_S": str(settings.dashboards_refresh_s),
            "DOSE_SITE_NAME": settings.site_name,
        }
        with (tmp_path / "server.log").open("wb") as log:
            process = subprocess.Popen(
                command, env=environment, stdout=log, stderr=subprocess.STDOUT, cwd=tmp_path
            )
        started.append(process)
        address = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            assert process.poll() is None, (tmp_path / "server.log").read_text()
            with socket.socket() as probe:
                probe.settimeout(2)
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return address
            time.sleep(0.2)
        raise AssertionError("the server did not answer: " + (tmp_path / "server.log").read_text())

    yield start
    for process in started:
        process.terminate()
        process.wait(timeout=20)


def environment_of(home: Path) -> dict[str, str]:
    """Environment of a process that works on a home."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("DOSE_")}
    return {**kept, "DOSE_HOME": str(home)}
