"""Questions kept under a name: the query with its relative dates, and what it was read with."""

from __future__ import annotations

import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dose_lib.errors import UsageError, did_you_mean
from dose_lib.questions.query import DoseQuery
from dose_lib.settings import Settings, load_settings

SPEC_VERSION = 1


def _folder(settings: Settings) -> Path:
    return settings.site_dir / "questions"


def _file(settings: Settings, name: str) -> Path:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,60}", name):
        raise UsageError(
            f"{name!r} is no name for a question", expected="small letters, digits, _ and -"
        )
    return _folder(settings) / f"{name}.json"


def save_question(
    name: str, query: DoseQuery, *, question: str, vocabulary: str, settings: Settings
) -> Path:
    """Keep a query under a name.

    The period is kept as it was said ("last six weeks"), so that it moves with the calendar.

    Parameters
    ----------
    name
        Small letters, digits, _ and -.
    query
        What is kept.
    question, vocabulary
        The words it was asked in, and the digest of the vocabulary they were read with.
    settings
        Of the installation.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    UsageError
        For a name that cannot be a file.
    """
    file = _file(settings, name)
    kept: dict[str, Any] = {
        "spec_version": SPEC_VERSION,
        "question": question,
        "query": json.loads(query.to_json()),
        "vocabulary": vocabulary,
        "saved_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(".part")
    with temporary.open("w", encoding="utf-8") as handle:
        json.dump(kept, handle, indent=1, ensure_ascii=False)
        handle.flush()
        os.fsync(handle.fileno())
    temporary.replace(file)
    return file


def saved_questions(settings: Settings | None = None) -> tuple[str, ...]:
    """Names of the questions that were kept."""
    folder = _folder(settings or load_settings())
    return tuple(sorted(f.stem for f in folder.glob("*.json")))


def load_question(name: str, *, settings: Settings | None = None) -> DoseQuery:
    """The query kept under a name; `answer_query` answers it for today.

    Raises
    ------
    UsageError
        If there is none of this name, or its file is no saved question.
    """
    settings = settings or load_settings()
    file = _file(settings, name)
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        return DoseQuery.model_validate(kept["query"])
    except FileNotFoundError:
        raise UsageError(
            f"no question is kept as {name!r}", todo=did_you_mean(name, saved_questions(settings))
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"the saved question cannot be read ({error})", where=str(file)) from None
