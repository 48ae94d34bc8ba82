"""A report as PDF, printed by a Chromium that is there; none is brought along."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from dose_lib.errors import ReportError

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_QUIET = (
    "--headless=new",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--no-pdf-header-footer",
)
NO_BROWSER = "no PDF: there is no Chromium on this machine (sudo apt-get install -y chromium)"


def find_browser() -> str | None:
    """Path of a Chromium or Chrome, None if there is none."""
    return next((found for name in _BROWSERS if (found := shutil.which(name))), None)


def print_pdf(html: Path, browser: str, *, timeout_s: float = 90.0) -> bytes:
    """A page printed to PDF.

    Parameters
    ----------
    html
        A self-contained page.
    browser
        From `find_browser`.
    timeout_s
        Seconds after which printing is given up.

    Raises
    ------
    ReportError
        If the browser fails or gives no PDF.
    """
    # As root, which is how containers run, Chromium cannot set up its sandbox; the page is
    # our own, holds no script, and forbids every request.
    sandbox = ("--no-sandbox",) if hasattr(os, "geteuid") and os.geteuid() == 0 else ()
    with tempfile.TemporaryDirectory(prefix="dose-pdf-") as folder:
        out = Path(folder) / "page.pdf"
        command = [browser, *_QUIET, *sandbox, f"--user-data-dir={folder}/profile"]
        command += [f"--print-to-pdf={out}", html.resolve().as_uri()]
        try:
            done = subprocess.run(  # noqa: S603  a browser found on the path, no shell
                command, capture_output=True, timeout=timeout_s, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ReportError(f"printing failed ({type(error).__name__})", where=browser) from None
        data = out.read_bytes() if out.is_file() else b""
    if done.returncode != 0 or not data.startswith(b"%PDF"):
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise ReportError(f"printing gave no PDF ({''.join(last)[:200]})", where=browser)
    return data
