"""What is kept of a run, so that a report can be accounted for months later."""

from __future__ import annotations

import hashlib
import platform
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import msgspec

_VERSIONS = ("duckdb", "ibis-framework", "pandas", "hvplot", "matplotlib", "papermill", "nbconvert")


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a notebook; stands as JSON beside its outputs.

    Attributes
    ----------
    notebook, notebook_sha256
        Name of the notebook and the hash of its file.
    title, site, period
        What the head of the report says.
    parameters
        Every parameter with the value used.
    started_at, duration_s
        Start with offset, seconds.
    versions
        DoseLoop, Python and the libraries behind the numbers and pictures.
    inputs
        Rows of each view of the store at the start of the run, and the time of the newest.
    html, ipynb, pdf, json
        Files written; `pdf` is None if none was asked for or no browser is there.
    pdf_note
        Why there is no PDF.
    outputs
        SHA-256 of each file written.
    """

    notebook: str
    notebook_sha256: str
    title: str
    site: str
    period: str | None
    parameters: dict[str, Any]
    started_at: datetime
    duration_s: float
    versions: dict[str, str]
    inputs: dict[str, int | str | None]
    html: Path
    ipynb: Path
    json: Path
    pdf: Path | None = None
    pdf_note: str | None = None
    outputs: dict[str, str] = {}

    def to_json(self) -> bytes:
        """The record as indented JSON; files by name, since they lie beside it."""
        data = msgspec.to_builtins(self, enc_hook=lambda value: Path(value).name)
        return msgspec.json.format(msgspec.json.encode(data), indent=2)


def sha256_of(data: bytes) -> str:
    """SHA-256 in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def versions() -> dict[str, str]:
    """Versions of DoseLoop, Python and the libraries that make numbers and pictures."""
    import dose_lib

    found = {"doseloop": dose_lib.__version__, "python": platform.python_version()}
    for name in _VERSIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
