"""The record of what was asked: one JSON line a question, without its words unless opted in.

The file is append-only in the logs of the installation. It holds the gated text, a hash, the
query with placeholders for names, rows and milliseconds; never an answer.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dose_lib.questions.query import DoseQuery
from dose_lib.settings import Settings

log = logging.getLogger(__name__)
FILE = "questions.jsonl"


@dataclass(frozen=True, slots=True)
class Entry:
    """One question in the record."""

    asked_at: str
    question_sha256: str
    gated: str
    source: str
    query: dict[str, Any] | None
    refusal: str | None
    rows: int
    hidden: int
    ms: float

    @classmethod
    def of(
        cls,
        question: str,
        *,
        gated: str,
        source: str,
        query: DoseQuery | None,
        refusal: str | None,
        rows: int,
        hidden: int,
        ms: float,
    ) -> Entry:
        """An entry for a question asked now; the question itself only as a hash."""
        return cls(
            asked_at=datetime.now(UTC).isoformat(timespec="seconds"),
            question_sha256=hashlib.sha256(question.encode()).hexdigest(),
            gated=gated,
            source=source,
            query=json.loads(query.to_json()) if query else None,
            refusal=refusal,
            rows=rows,
            hidden=hidden,
            ms=ms,
        )


def audit_file(settings: Settings) -> Path:
    """The file of the record."""
    return settings.logs_dir / FILE


def write_entry(settings: Settings, entry: Entry) -> None:
    """Append an entry; a record that cannot be written never costs the answer."""
    file = audit_file(settings)
    line = json.dumps(asdict(entry), ensure_ascii=False) + "\n"
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, line.encode())
        finally:
            os.close(handle)
    except OSError as error:
        log.warning("the record of questions cannot be written", extra={"reason": error.strerror})
