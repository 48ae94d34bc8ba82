"""Exams known from exports of other dose systems: which of them count.

An exam of an export gives way to the same exam from DICOM, to a later import of the same
exam, and to a decision that undoes its import. None of it depends on the order of arrival, and
none removes anything: an exam comes back when the reason goes.

Exports seldom name the Study Instance UID. Then an exam is the same where modality class,
start (within two hours: a study's time is not that of its first exposure), station or
patient, and the dose agree. Doses on one scanner differ between patients in the first digits,
and exports write five or more; where the patient is the same too, one per cent is enough, and a
dose may be missing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import duckdb
import pyarrow as pa

from dose_lib.records import Modality, Part, SourceKind, Totals

KIND = "history_import"  # of the decision that undoes an import, or takes that back
UNDONE = "its import was undone"
IN_DICOM = "the exam is known from DICOM"
AGAIN = "the exam was imported again later"
Place = tuple[str, str]  # study, hash of the object

_FAMILY = {Modality.XA: "RF", Modality.PT: "NM"}
_UTC = pa.timestamp("us", tz="UTC")
_SCHEMA = pa.schema(
    [
        ("study_uid", pa.string()),
        ("part_key", pa.string()),
        ("sha256", pa.string()),
        ("received_at", _UTC),
        ("import_uid", pa.string()),
        ("row_number", pa.int64()),
        ("family", pa.string()),
        ("started_at", pa.timestamp("us")),
        ("has_time", pa.bool_()),
        ("station", pa.string()),
        ("patient_key", pa.string()),
        ("dose", pa.float64()),
        ("age_y", pa.float64()),
        ("sex", pa.string()),
    ]
)
# The dose by which an exam is recognised, from columns of `part`.
_DOSE = """
    CASE WHEN p.modality = 'CT' THEN p.dlp_total_mgy_cm
        WHEN p.modality = 'MG' THEN nullif(
            coalesce(p.agd_left_mgy, 0) + coalesce(p.agd_right_mgy, 0)
            + coalesce(p.agd_both_mgy, 0), 0)
        WHEN p.modality IN ('NM', 'PT') THEN (
            SELECT sum(a.administered_activity_mbq) FROM administration AS a
            WHERE a.part_key = p.part_key)
        ELSE p.kap_gy_cm2 END
"""
_FAMILY_OF = "CASE p.modality WHEN 'XA' THEN 'RF' WHEN 'PT' THEN 'NM' ELSE p.modality END"
# Parts from DICOM, each with the days on which an export may have its start.
_PARTS = f"""
    SELECT p.study_uid, p.started_at, upper(trim(p.station_name)) AS station,
        CASE WHEN p.is_linked THEN p.patient_key END AS patient_key, p.age_y, p.sex,
        {_FAMILY_OF} AS family,
        unnest(list_distinct([CAST(p.started_at - INTERVAL 2 HOUR AS DATE),
            CAST(p.started_at AS DATE), CAST(p.started_at + INTERVAL 2 HOUR AS DATE)])) AS day,
        {_DOSE} AS dose
    FROM part AS p WHERE p.is_history IS NULL AND
"""  # noqa: S608 - constants
_SAME_STUDY = f"h.study_uid = p.study_uid AND p.is_history IS NULL AND h.family = {_FAMILY_OF}"
_SAME_EXAM = """
    h.family = p.family AND CAST(h.started_at AS DATE) = p.day
    AND CASE WHEN h.has_time
        THEN p.started_at BETWEEN h.started_at - INTERVAL 2 HOUR AND h.started_at + INTERVAL 2 HOUR
        ELSE CAST(p.started_at AS DATE) = p.day END
    AND (p.sex IS NULL OR h.sex IS NULL OR p.sex = h.sex)
    AND (p.age_y IS NULL OR h.age_y IS NULL OR abs(p.age_y - h.age_y) <= 1)
    AND CASE WHEN p.patient_key = h.patient_key
        THEN coalesce(abs(p.dose - h.dose) <= 0.01 * p.dose, true)
            AND (p.station IS NULL OR h.station IS NULL OR p.station = h.station)
        WHEN p.patient_key <> h.patient_key THEN false
        ELSE p.station = h.station AND abs(p.dose - h.dose) <= 2e-5 * p.dose AND p.dose > 0 END
"""


def history_rows(readings: Iterable[tuple[Part, str, datetime]]) -> pa.Table:
    """Rows of table `history` for readings of (part, hash, received), where they are such."""
    rows = [_row(*r) for r in readings if is_history(r[0])]
    return pa.Table.from_pylist(rows, schema=_SCHEMA)


def is_history(part: Part) -> bool:
    """True for a part as an export says it."""
    return part.sources[0].kind is SourceKind.HISTORY


def _row(part: Part, sha256: str, received_at: datetime) -> dict[str, Any]:
    source, patient = part.sources[0], part.patient
    start = part.started_at.replace(tzinfo=None) if part.started_at else None
    station = (part.device.station_name or "").strip().upper()
    return {
        "study_uid": part.study_uid,
        "part_key": part.part_key,
        "sha256": sha256,
        "received_at": received_at.astimezone(UTC),
        "import_uid": source.series_uid or "",
        "row_number": source.series_number or 0,
        "family": _FAMILY.get(part.modality, part.modality.value),
        "started_at": start,
        # Midnight to the second is what a date without time looks like.
        "has_time": start is not None and (start.hour, start.minute, start.second) != (0, 0, 0),
        "station": station or None,
        "patient_key": patient.patient_key if patient.is_linked else None,
        "dose": _dose(part, part.totals),
        "age_y": patient.age_y,
        "sex": patient.sex.value if patient.sex else None,
    }


def _dose(part: Part, totals: Totals) -> float | None:
    if part.modality is Modality.CT:
        return totals.dlp_total_mgy_cm
    if part.modality is Modality.MG:
        sides = (totals.agd_left_mgy, totals.agd_right_mgy, totals.agd_both_mgy)
        return sum(s for s in sides if s is not None) or None
    if part.modality in (Modality.NM, Modality.PT):
        found = [a.administered_activity_mbq for a in part.administrations]
        return sum(a for a in found if a is not None) or None
    return totals.kap_gy_cm2


def has_history(con: duckdb.DuckDBPyConnection) -> bool:
    """True if any export was ever imported; the rest of this module costs nothing without."""
    return con.execute("SELECT 1 FROM history LIMIT 1").fetchone() is not None


def history_out(con: duckdb.DuckDBPyConnection, studies: Sequence[str]) -> dict[Place, str]:
    """Readings of exports in some studies that do not count, and why.

    Parameters
    ----------
    con
        The store, with the parts as they stood before these studies are made anew.
    studies
        Their UIDs.
    """
    given = {"studies": list(studies)}
    has_any = "SELECT 1 FROM history WHERE study_uid IN (SELECT unnest($studies)) LIMIT 1"
    if con.execute(has_any, given).fetchone() is None:
        return {}
    rows = con.execute(
        f"""
        WITH h AS MATERIALIZED (
            SELECT h.*, coalesce(d.payload->>'is_undone' = 'true', false) AS is_undone
            FROM history AS h
            LEFT JOIN latest_decisions AS d ON d.kind = '{KIND}' AND d.subject = h.import_uid
            WHERE h.study_uid IN (SELECT unnest($studies))
        ), span AS (
            SELECT min(started_at) - INTERVAL 1 DAY AS first,
                max(started_at) + INTERVAL 1 DAY AS last FROM h
        ), near AS MATERIALIZED (
            {_PARTS} p.started_at BETWEEN (SELECT first FROM span) AND (SELECT last FROM span)
        ), same AS (
            SELECT h.study_uid, h.sha256 FROM h JOIN part AS p ON {_SAME_STUDY}
            UNION SELECT h.study_uid, h.sha256 FROM h JOIN near AS p ON {_SAME_EXAM}
        )
        SELECT h.study_uid, h.sha256, CASE
            WHEN h.is_undone THEN '{UNDONE}'
            WHEN s.sha256 IS NOT NULL THEN '{IN_DICOM}'
            WHEN EXISTS (
                SELECT 1 FROM h AS o WHERE o.study_uid = h.study_uid AND NOT o.is_undone
                AND (o.received_at, o.sha256) > (h.received_at, h.sha256)
            ) THEN '{AGAIN}' END AS why
        FROM h LEFT JOIN same AS s USING (study_uid, sha256)
        WHERE why IS NOT NULL
        """,  # noqa: S608 - constants
        given,
    ).fetchall()
    return {(study, sha256): why for study, sha256, why in rows}


def displaced(con: duckdb.DuckDBPyConnection, studies: Collection[str]) -> set[str]:
    """Studies of exports with an exam that DICOM has, by the parts of these studies."""
    if not studies or con.execute("SELECT 1 FROM history LIMIT 1").fetchone() is None:
        return set()
    rows = con.execute(
        f"""
        WITH own AS MATERIALIZED (
            {_PARTS} p.study_uid IN (SELECT unnest($studies))
        ), same AS (
            SELECT h.study_uid FROM history AS h JOIN part AS p ON {_SAME_STUDY}
            WHERE h.study_uid IN (SELECT unnest($studies))
            UNION SELECT h.study_uid FROM history AS h JOIN own AS p ON {_SAME_EXAM}
            WHERE h.started_at BETWEEN (SELECT min(started_at) - INTERVAL 1 DAY FROM own)
                AND (SELECT max(started_at) + INTERVAL 1 DAY FROM own)
        )
        SELECT study_uid FROM same
        """,  # noqa: S608 - constants
        {"studies": sorted(studies)},
    ).fetchall()
    return {study for (study,) in rows}


def to_settle(con: duckdb.DuckDBPyConnection, studies: Collection[str]) -> set[str]:
    """Those of the studies whose exam of an export counts and should not, or the other way."""
    if not studies:
        return set()
    rows = con.execute(
        "SELECT DISTINCT study_uid FROM part WHERE is_history AND study_uid IN (SELECT unnest(?))",
        [sorted(studies)],
    ).fetchall()
    counting = {study for (study,) in rows}
    out = history_out(con, sorted(studies))
    places = con.execute(
        "SELECT study_uid, sha256 FROM history WHERE study_uid IN (SELECT unnest(?))",
        [sorted(studies)],
    ).fetchall()
    should = {study for study, sha256 in places if (study, sha256) not in out}
    return (should ^ counting) & {study for study, _ in places}


def studies_of_imports(con: duckdb.DuckDBPyConnection, imports: Sequence[str]) -> list[str]:
    """Studies with an exam of one of these imports."""
    rows = con.execute(
        "SELECT DISTINCT study_uid FROM history WHERE import_uid IN (SELECT unnest(?))"
        " ORDER BY study_uid",
        [list(imports)],
    ).fetchall()
    return [study for (study,) in rows]


def settle_history(con: duckdb.DuckDBPyConnection, studies: Sequence[str]) -> None:
    """Bring the ledger up to date with which exams of exports count in some studies."""
    rows = con.execute(
        "SELECT study_uid, sha256 FROM history WHERE study_uid IN (SELECT unnest(?))",
        [list(studies)],
    ).fetchall()
    if not rows:
        return
    out = history_out(con, studies)
    settled = pa.table(
        {
            "sha256": [sha256 for _, sha256 in rows],
            "status": ["superseded" if place in out else "stored" for place in rows],
            "reason": pa.array([out.get(place) for place in rows], pa.string()),
        }
    )
    con.register("settled_history", settled)
    try:
        con.execute(
            "UPDATE object SET status = s.status, reason = s.reason FROM settled_history AS s"
            " WHERE object.sha256 = s.sha256 AND object.status IN ('stored', 'superseded')"
            " AND (object.status, object.reason) IS DISTINCT FROM (s.status, s.reason)"
        )
    finally:
        con.unregister("settled_history")
