"""A web archive as a source: QIDO-RS and WADO-RS."""

from __future__ import annotations

from dose_lib import Settings
from dose_lib.errors import CollectError
from pipelines.collect.pacs import WebArchive
from pipelines.collect.retrieve import Source
from pipelines.spool import Spool


def open_web(archive: WebArchive, settings: Settings, spool: Spool) -> Source:
    """The archive, ready to be asked."""
    raise CollectError("web archives cannot be asked yet", where=archive.name)
