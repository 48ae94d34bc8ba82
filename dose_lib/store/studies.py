"""Studies made anew from their readings, each time one of them arrives or counts no more.

Readings are kept as they came; the parts of a study are made from all of its readings anew
each time one arrives. So the order of arrival does not matter, and a report that contains
an earlier one replaces it instead of being added to it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import duckdb
import pyarrow as pa

from dose_lib.records import Part
from dose_lib.store.history import displaced, history_rows, to_settle
from dose_lib.store.making import Reading, Rules, make_parts, stored_readings
from dose_lib.store.part_tables import delete_parts, insert_rows, write_parts
from dose_lib.store.reading import pack_part
from dose_lib.store.roles import settle_earlier
from dose_lib.store.sizes import borrowers
from dose_lib.store.standing import Place, marks_of, standing

_STUDIES_AT_ONCE = 500
_UTC = pa.timestamp("us", tz="UTC")
_READING = pa.schema(
    [
        ("study_uid", pa.string()),
        ("part_key", pa.string()),
        ("sha256", pa.string()),
        ("receipt_id", pa.string()),
        ("sop_instance_uid", pa.string()),
        ("received_at", _UTC),
        ("record", pa.binary()),
        ("sop_key", pa.uint64()),
        ("exposures_key", pa.uint64()),
        ("exposures", pa.list_(pa.uint64())),
        ("content_at", pa.timestamp("us")),
        ("started_at", pa.timestamp("us")),
        ("patient_key", pa.string()),
    ]
)


class Merged(NamedTuple):
    """Studies that were made anew.

    Attributes
    ----------
    by_study
        Their parts.
    out
        Which readings do not count, and why.
    part_keys
        Every part they have or had.
    """

    by_study: dict[str, tuple[Part, ...]]
    out: Mapping[Place, str]
    part_keys: frozenset[str]


def merge_studies(
    con: duckdb.DuckDBPyConnection,
    fresh: Mapping[str, list[Reading]],
    concerned: Collection[str],
    rules: Rules,
    *,
    with_history: bool = True,
) -> Merged:
    """Write the readings and make all studies anew that they or a note have changed."""
    stored = stored_readings(con, list(fresh))
    insert_rows(con, "reading", _reading_rows(r for rs in fresh.values() for r in rs))
    _keep_history(con, fresh)
    place = standing(con, {*fresh, *concerned})
    stored |= stored_readings(con, sorted(place.studies - set(fresh)))
    hidden = displaced(con, {*stored, *concerned})
    former = delete_parts(con, sorted({*stored, *concerned}))
    together = {s: [*stored.get(s, ()), *fresh.get(s, ())] for s in place.studies}
    made = make_parts(con, together, rules, place)
    write_parts(con, made.parts, made.received_at)
    if rules.derive is not None:
        # A weight that came in may be lent to other studies of the patient.
        remake(con, borrowers(con, made.parts, rules.adult_age_y), rules)
    settle_earlier(con, made.by_study, [r for rs in stored.values() for r in rs], place.out)
    changed = to_settle(con, hidden | displaced(con, place.studies)) if with_history else None
    keys = frozenset(former).union(p.part_key for p in made.parts)
    if not changed:
        return Merged(made.by_study, place.out, keys)
    # Exams of exports that give way now, or come back.
    more = merge_studies(con, {}, changed, rules, with_history=False)
    return Merged(made.by_study | more.by_study, {**place.out, **more.out}, keys | more.part_keys)


def _keep_history(con: duckdb.DuckDBPyConnection, fresh: Mapping[str, list[Reading]]) -> None:
    readings = (r for rs in fresh.values() for r in rs)
    rows = history_rows((r.part, r.sha256, r.received_at) for r in readings)
    if rows.num_rows:
        insert_rows(con, "history", rows)


def settle(con: duckdb.DuckDBPyConnection, studies: Sequence[str], rules: Rules) -> None:
    """Make stored studies anew after what counts in them has changed, with their receipts."""
    for start in range(0, len(studies), _STUDIES_AT_ONCE):
        merge_studies(con, {}, studies[start : start + _STUDIES_AT_ONCE], rules)


def remake(
    con: duckdb.DuckDBPyConnection, studies: Sequence[str], rules: Rules
) -> dict[str, tuple[Part, ...]]:
    """Make the parts of stored studies anew from their readings, and return them by study."""
    if not studies:
        return {}
    made = make_parts(con, stored_readings(con, studies), rules)
    delete_parts(con, list(made.by_study))
    write_parts(con, made.parts, made.received_at)
    return made.by_study


def _reading_rows(readings: Iterable[Reading]) -> pa.Table:
    rows = [
        {
            "study_uid": r.part.study_uid,
            "part_key": r.part.part_key,
            "sha256": r.sha256,
            "receipt_id": r.receipt_id,
            "sop_instance_uid": r.part.sources[0].sop_instance_uid,
            "received_at": r.received_at,
            "record": pack_part(r.part),
            **marks_of(r.part),
        }
        for r in readings
    ]
    return pa.Table.from_pylist(rows, schema=_READING)
