"""Finding the key of someone by name or number."""

from __future__ import annotations

from datetime import UTC
from enum import StrEnum
from typing import NamedTuple

import duckdb

from dose_lib.errors import UsageError
from dose_lib.keys import normalise_id
from dose_lib.vault.records import Match
from dose_lib.vault.rows import VERSIONS

_MOST = 50


class By(StrEnum):
    """What to search by."""

    PATIENT_ID = "patient_id"
    PATIENT_NAME = "patient_name"
    BIRTH_DATE = "birth_date"
    ACCESSION_NUMBER = "accession_number"
    STUDY_ID = "study_id"
    ORDER_NUMBER = "order_number"
    STAFF_NAME = "staff_name"
    STAFF_ID = "staff_id"


class _Way(NamedTuple):
    kind: str
    shown: str
    condition: str | None = None  # None: by the words of a name


def plain_name(column: str) -> str:
    """SQL of a name without case, accents and separators: ` doe jane`."""
    return f"regexp_replace(strip_accents(lower(' ' || {column})), '[\\^=,.\\s]+', ' ', 'g')"


def _plain_id(column: str) -> str:
    """SQL of an identifier as `keys.normalise_id` writes it."""
    return f"upper(trim(regexp_replace({column}, '\\s+', ' ', 'g')))"


def _in_list(column: str, path: str) -> str:
    values = f"json_extract_string({column}, '{path}')"
    return f"list_contains(list_transform({values}, lambda i: {_plain_id('i')}), $1)"


_WAYS = {
    By.PATIENT_ID: _Way(
        "patient",
        "t.patient_id",
        f"{_plain_id('t.patient_id')} = $1 OR {_in_list('t.other_patient_ids', '$[*].id')}",
    ),
    By.PATIENT_NAME: _Way("patient", "t.patient_name"),
    By.BIRTH_DATE: _Way("patient", "t.birth_date", "t.birth_date = $1"),
    By.ACCESSION_NUMBER: _Way(
        "exam",
        "t.accession_number",
        f"{_plain_id('t.accession_number')} = $1"
        f" OR {_in_list('t.grouped_accession_numbers', '$[*]')}",
    ),
    By.STUDY_ID: _Way("exam", "t.study_id", f"{_plain_id('t.study_id')} = $1"),
    By.ORDER_NUMBER: _Way(
        "exam",
        "coalesce(t.placer_order_number, t.filler_order_number)",
        f"$1 IN ({_plain_id('t.placer_order_number')}, {_plain_id('t.filler_order_number')})",
    ),
    By.STAFF_NAME: _Way("staff", "t.staff_name"),
    By.STAFF_ID: _Way("staff", "t.staff_id", f"{_plain_id('t.staff_id')} = $1"),
}


def search(con: duckdb.DuckDBPyConnection, by: By, value: str) -> tuple[Match, ...]:
    """Keys of patients, exams or staff; the last seen first.

    Numbers are compared whole, white space and case apart. Every word of a name has to
    begin a word of the name on record, accents and case apart.

    Raises
    ------
    UsageError
        If too little is searched for, or too many fit.
    """
    way = _WAYS[by]
    words = value.replace("^", " ").replace(",", " ").split()
    condition, values = way.condition, [normalise_id(value)]
    if condition is None:
        condition, values = _name_condition(way.shown, len(words)), words
    if not words or (way.condition is None and max(map(len, words)) < 3):
        raise UsageError("too little to search for", expected="a number, or 3 letters of a name")
    table, link = way.kind, "presence" if way.kind == "staff" else "sighting"
    key, number = VERSIONS[table]
    found = con.execute(
        f"SELECT t.{key}, {way.shown}, min(l.received_at), max(l.received_at) AS last_seen"  # noqa: S608
        f" FROM {table} t JOIN {link} l ON l.{number} = t.{number} AND l.{key} = t.{key}"
        f" AND l.{table}_version = t.version"
        f" WHERE {condition} GROUP BY ALL ORDER BY last_seen DESC, 1 LIMIT {_MOST + 1}",
        values,
    ).fetchall()
    if len(found) > _MOST:
        raise UsageError(f"more than {_MOST} fit", todo="Give more of the name, or a number")
    return tuple(
        Match(
            kind=way.kind,
            key=key,
            found=shown or "",
            first_seen=first.astimezone(UTC),
            last_seen=last.astimezone(UTC),
        )
        for key, shown, first, last in found
    )


def _name_condition(column: str, n_words: int) -> str:
    words = (f"' ' || strip_accents(lower(${n}))" for n in range(1, n_words + 1))
    return " AND ".join(f"contains({plain_name(column)}, {word})" for word in words)
