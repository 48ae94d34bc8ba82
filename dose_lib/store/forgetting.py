"""Forgetting: what erasures and the retention of doses do to what is stored, and to what comes.

Judged reading by reading, as what arrives is judged, so that a store that was rebuilt without
the erased objects is the same as one they were erased from:

* erased with everything, or older than doses are kept: readings, the parts they made, findings
  and notes about them go; the receipt stays, since every object received is accounted for;
* identities alone: readings and parts stay, under a key of the exam that is nobody's.

Either way the bytes as received are to go: `raw_removal` says which (see `pipelines.keeping`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import duckdb
import msgspec
import pyarrow as pa

from dose_lib.records import Part
from dose_lib.store.making import Rules
from dose_lib.store.outside import erase_sizes
from dose_lib.store.people import ERASED, EXPIRED, UNREAD, Gone
from dose_lib.store.reading import pack_part, unpack_part
from dose_lib.store.standing import Place, standing
from dose_lib.vault.groups import Forgotten

_OF_PART = ("finding", "former_name")
_READINGS = "SELECT study_uid, sha256, received_at, record FROM reading WHERE "


def nobody(study_uid: str) -> str:
    """The key of an exam whose patient's identities were erased: made from no identity."""
    return hashlib.sha256(f"unlinked|{study_uid}".encode()).hexdigest()


def reason_to_forget(part: Part, received_at: datetime, rules: Rules) -> str | None:
    """Why a reading may not be kept; None if it may."""
    at = received_at.astimezone(UTC)
    if _is_covered(rules.gone, part, at, rules):
        return ERASED
    return EXPIRED if rules.gone.is_old(part, at) else None


def is_nobodys(part: Part, received_at: datetime, rules: Rules) -> bool:
    """True if the patient's identities were erased after this exam."""
    return _is_covered(rules.gone.unlinked, part, received_at.astimezone(UTC), rules)


def unlinked(part: Part) -> Part:
    """The part, of nobody."""
    patient = msgspec.structs.replace(
        part.patient, patient_key=nobody(part.study_uid), is_linked=False
    )
    return msgspec.structs.replace(part, patient=patient)


def _is_covered(gone: Forgotten, part: Part, received_at: datetime, rules: Rules) -> bool:
    key = part.patient.patient_key
    if key is None or key not in gone.patients:
        return False
    started = rules.normalise(part).started_at_utc
    return gone.covers(key, received_at, started.astimezone(UTC) if started else None)


class Erasure(NamedTuple):
    """What `forget` did.

    Attributes
    ----------
    studies
        To be made anew, with their receipts.
    part_keys
        Exam parts of which nothing may be left.
    size_ids
        Sizes from outside that are gone.
    """

    studies: list[str]
    part_keys: frozenset[str]
    size_ids: frozenset[str]


def forget(con: duckdb.DuckDBPyConnection, rules: Rules) -> Erasure:
    """Bring the store up to date with `rules.gone`; inside the caller's transaction."""
    gone = rules.gone
    sizes = erase_sizes(con, gone) | erase_sizes(con, gone.unlinked)
    places = _of_patients(con, gone, rules) | _old(con, gone)
    places |= dict.fromkeys(_overtaken(con, places), ERASED)
    part_keys = _erase(con, places)
    _erase_receipts(con, _without_parts(con, gone), ERASED)
    studies = {study for study, _ in places} | _unlink(con, gone.unlinked, rules)
    return Erasure(sorted(studies), part_keys, frozenset(sizes))


def _of_patients(con: duckdb.DuckDBPyConnection, gone: Gone, rules: Rules) -> dict[Place, str]:
    """Readings that say they are of erased patients, or that made a part of theirs."""
    if not gone.patients:
        return {}
    found = {
        (study, sha256): ERASED
        for study, sha256, received_at, record in _readings(con, gone)
        if _is_covered(gone, unpack_part(record), received_at.astimezone(UTC), rules)
    }
    return found | dict.fromkeys(_of_parts(con, gone), ERASED)


def _readings(
    con: duckdb.DuckDBPyConnection, gone: Forgotten
) -> list[tuple[str, str, datetime, bytes]]:
    query = _READINGS + "patient_key IN (SELECT unnest(?))"
    return con.execute(query, [sorted(gone.patients)]).fetchall()


def _of_parts(con: duckdb.DuckDBPyConnection, gone: Forgotten) -> list[Place]:
    """Readings that made parts of these patients: the first of them may have named another."""
    rows = con.execute(
        "SELECT study_uid, list_transform(sources, lambda s: s.sha256), patient_key, received_at,"
        " started_at_utc FROM part WHERE patient_key IN (SELECT unnest(?))",
        [sorted(gone.patients)],
    ).fetchall()
    return [
        (study, sha256)
        for study, hashes, key, received_at, started in rows
        if gone.covers(key, received_at.astimezone(UTC), started and started.astimezone(UTC))
        for sha256 in hashes
        if sha256
    ]


def _old(con: duckdb.DuckDBPyConnection, gone: Gone) -> dict[Place, str]:
    if gone.doses_before is None:
        return {}
    rows = con.execute(
        "SELECT study_uid, sha256 FROM reading"
        " WHERE coalesce(started_at, received_at AT TIME ZONE 'UTC') < ?",
        [gone.doses_before.replace(tzinfo=None)],
    ).fetchall()
    return dict.fromkeys(rows, EXPIRED)


def _overtaken(con: duckdb.DuckDBPyConnection, places: Mapping[Place, str]) -> set[Place]:
    """Earlier filings of what is erased: they would come to count again."""
    out = standing(con, {study for study, _ in places}).out if places else {}
    if not out:
        return set()
    rows = con.execute(
        "WITH gone AS (SELECT sop_key, exposures FROM reading"
        " WHERE (study_uid, sha256) IN (SELECT unnest(?), unnest(?))),"
        " maybe AS (SELECT study_uid, sha256, sop_key, exposures FROM reading"
        " WHERE (study_uid, sha256) IN (SELECT unnest(?), unnest(?)))"
        " SELECT study_uid, sha256 FROM maybe WHERE sop_key IN (SELECT sop_key FROM gone)"
        " OR EXISTS (SELECT 1 FROM gone WHERE list_has_all(gone.exposures, maybe.exposures))",
        [list(names) for names in (*zip(*places, strict=True), *zip(*out, strict=True))],
    ).fetchall()
    return set(rows) - set(places)


def _erase(con: duckdb.DuckDBPyConnection, places: Mapping[Place, str]) -> frozenset[str]:
    """Remove readings and their traces; returns the parts of which nothing may be left."""
    hashes = {sha256: reason for (_, sha256), reason in places.items()}
    erased = [s for (s, _), reason in places.items() if reason == ERASED]
    # Of readings too: a part that was withdrawn before may have findings.
    rows = con.execute(
        "SELECT part_key FROM part WHERE study_uid IN (SELECT unnest($studies))"
        " UNION SELECT part_key FROM reading WHERE study_uid IN (SELECT unnest($studies))",
        {"studies": erased},
    ).fetchall()
    keys = frozenset(key for (key,) in rows)
    for table in _OF_PART if keys else ():
        con.execute(f"DELETE FROM {table} WHERE part_key IN (SELECT unnest(?))", [list(keys)])  # noqa: S608 - a constant
    for reason in sorted(set(hashes.values())):
        some = [h for h, r in hashes.items() if r == reason]
        notes = _notes_about(con, some)
        con.execute("DELETE FROM reading WHERE sha256 IN (SELECT unnest(?))", [some])
        con.execute("DELETE FROM history WHERE sha256 IN (SELECT unnest(?))", [some])
        _erase_receipts(con, [*some, *notes], reason)
    return keys


def _notes_about(con: duckdb.DuckDBPyConnection, hashes: Sequence[str]) -> list[str]:
    """Rejection notes about objects that go; they go as well."""
    rows = con.execute(
        "SELECT DISTINCT receipt_id FROM rejection WHERE sop_key IN"
        " (SELECT sop_key FROM reading WHERE sha256 IN (SELECT unnest(?)))",
        [list(hashes)],
    ).fetchall()
    return [
        sha256
        for (sha256,) in con.execute(
            "SELECT sha256 FROM object WHERE receipt_id IN (SELECT unnest(?))",
            [[receipt for (receipt,) in rows]],
        ).fetchall()
    ]


def _without_parts(con: duckdb.DuckDBPyConnection, gone: Forgotten) -> list[str]:
    """Objects without dose, and unread ones, that tell of erased patients."""
    rows = con.execute(
        "SELECT sha256, patient_key, received_at FROM object"
        " WHERE patient_key IN (SELECT unnest(?)) AND status <> 'erased'",
        [sorted(gone.patients)],
    ).fetchall()
    return [h for h, key, at in rows if gone.covers(key, at.astimezone(UTC), None)]


def _erase_receipts(con: duckdb.DuckDBPyConnection, hashes: Sequence[str], reason: str) -> None:
    """The receipt stays, since every object received is accounted for; what it was does not."""
    if not hashes:
        return
    con.execute(
        "DELETE FROM rejection WHERE receipt_id IN"
        " (SELECT receipt_id FROM object WHERE sha256 IN (SELECT unnest(?)))",
        [list(hashes)],
    )
    con.execute(
        "UPDATE object SET status = 'erased', reason = ?, part_keys = [], sop_instance_uid = NULL,"
        " study_uid = NULL, patient_key = NULL WHERE sha256 IN (SELECT unnest(?))",
        [reason, list(hashes)],
    )
    remove_raw(con, hashes, keeps_doses=False)


def remove_raw(con: duckdb.DuckDBPyConnection, hashes: Iterable[str], *, keeps_doses: bool) -> None:
    """Have the bytes of objects removed once the service has time for it."""
    con.execute(
        "INSERT INTO raw_removal SELECT DISTINCT h, ? FROM (SELECT unnest(?) AS h)"
        " WHERE h NOT IN (SELECT sha256 FROM raw_removal WHERE keeps_doses = ?)",
        [keeps_doses, list(hashes), keeps_doses],
    )


def removed_raw(con: duckdb.DuckDBPyConnection, hashes: Iterable[str]) -> None:
    """The bytes of these objects are gone."""
    con.execute("DELETE FROM raw_removal WHERE sha256 IN (SELECT unnest(?))", [list(hashes)])


def give_up(con: duckdb.DuckDBPyConnection, receipts: Iterable[str]) -> None:
    """Objects that could not be read are kept no longer; their receipts stay."""
    con.execute(
        "UPDATE object SET status = 'erased', reason = ?, sop_instance_uid = NULL,"
        " study_uid = NULL, patient_key = NULL"
        " WHERE status = 'quarantined' AND receipt_id IN (SELECT unnest(?))",
        [UNREAD, list(receipts)],
    )


def _unlink(con: duckdb.DuckDBPyConnection, gone: Forgotten, rules: Rules) -> set[str]:
    """Give the readings of patients whose identities are erased the key of nobody."""
    if not gone.patients:
        return set()
    found = {
        (study, sha256)
        for study, sha256, received_at, record in _readings(con, gone)
        if _is_covered(gone, unpack_part(record), received_at.astimezone(UTC), rules)
    }
    found |= set(_of_parts(con, gone))
    if found:
        _unlink_readings(con, sorted({sha256 for _, sha256 in found}))
    hashes = _without_parts(con, gone)
    con.execute("UPDATE object SET patient_key = NULL WHERE sha256 IN (SELECT unnest(?))", [hashes])
    remove_raw(con, hashes, keeps_doses=True)
    return {study for study, _ in found}


def _unlink_readings(con: duckdb.DuckDBPyConnection, hashes: Sequence[str]) -> None:
    rows = con.execute(
        "SELECT rowid, record FROM reading WHERE sha256 IN (SELECT unnest(?))", [list(hashes)]
    ).fetchall()
    parts = [(row, unlinked(unpack_part(record))) for row, record in rows]
    con.register(
        "unlinked_rows",
        pa.table(
            {
                "row": [row for row, _ in parts],
                "record": [pack_part(part) for _, part in parts],
                "patient_key": [part.patient.patient_key for _, part in parts],
            }
        ),
    )
    try:
        con.execute(
            "UPDATE reading SET record = u.record, patient_key = u.patient_key"
            " FROM unlinked_rows AS u WHERE reading.rowid = u.row"
        )
        con.execute(
            "UPDATE history SET patient_key = NULL WHERE sha256 IN (SELECT unnest(?))",
            [list(hashes)],
        )
    finally:
        con.unregister("unlinked_rows")
    remove_raw(con, hashes, keeps_doses=True)
