"""Which exams bear a name: in any field a decision about it looks at."""

from __future__ import annotations

from datetime import date
from typing import Any, NamedTuple

from dose_lib.normalise import subject_key, text_key

_TEXTS = ("study_description", "performed_procedure_step_description")
_MEANINGS = ("procedure_code", "requested_procedure", "nm_procedure")
_CODES = ("procedure_code", "requested_procedure")


class Named(NamedTuple):
    """What an exam is called now, and its day."""

    procedure_name: str | None
    on: date | None


def parts_named(con: Any, subject: str, modality: str) -> dict[str, Named]:
    """Exam parts of a modality that bear a name, by key.

    Parameters
    ----------
    con
        From `dose_lib.connect`.
    subject
        The key of a text, or ``SCHEME:code``.
    modality
        Modality class of the parts.
    """
    parts = con.table("part")
    found = _bearing(parts.filter(parts.modality == modality), subject)
    if found is None:
        return {}
    rows = found.select("part_key", "procedure_name", "started_at")
    return {
        r["part_key"]: Named(r["procedure_name"], r["started_at"] and r["started_at"].date())
        for r in rows.to_pyarrow().to_pylist()
    }


def modalities_of(con: Any, subject: str) -> tuple[str, ...]:
    """Modality classes of the exams that bear a name."""
    found = _bearing(con.table("part"), subject_key(subject))
    if found is None:
        return ()
    rows = found.select("modality").distinct().to_pyarrow()
    return tuple(sorted(rows.column("modality").to_pylist()))


def _bearing(parts: Any, subject: str) -> Any | None:
    """Rows that bear a name in any field; None if no field holds it."""
    key = text_key(subject)
    columns = [parts[n] for n in _TEXTS] + [parts[n]["meaning"] for n in _MEANINGS]
    fits = [c.isin(spelt) for c in columns if (spelt := _spellings(parts, c, key))]
    if protocols := _spellings(parts, parts.protocol_names.unnest(), key):
        fits += [parts.protocol_names.contains(p) for p in protocols]
    if ":" in subject:
        scheme, _, value = subject.partition(":")
        fits += [
            (parts[n]["value"] == value) & (parts[n]["scheme"].fill_null("") == scheme)
            for n in _CODES
        ]
    if not fits:
        return None
    is_named = fits[0].fill_null(False)
    for fit in fits[1:]:
        is_named = is_named | fit.fill_null(False)
    return parts.filter(is_named)


def _spellings(parts: Any, column: Any, key: str) -> list[str]:
    """How a name is spelt in a column: case, accents and white space apart."""
    found = parts.select(text=column).distinct().to_pyarrow().column("text").to_pylist()
    return [text for text in found if text and text_key(text) == key]
