"""Gaps of a reconciliation as findings: one a device and day, one for a device without doses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time

import dose_lib
from dose_lib import Settings
from dose_lib.records import Decision, Finding, Severity, finding_id
from dose_lib.store import submit_decision, submit_findings
from pipelines.collect.reconciliation import DeviceDay, Gap, Reconciliation, Why

DETECTOR, VERSION = "completeness", "1"
_AUTHOR = "dose reconcile"
_SHOWN = 50
_TODO = {
    Why.NO_REPORT: "see that the device sends its dose report, to the archive or to DoseLoop",
    Why.NOT_ASKED: "collect the day (`dose collect --day`), or put collecting on the timetable",
    Why.NOTHING: "see in `dose pacs studies` what the archive has instead",
    Why.FAILED: "see the archive's answers in `dose pacs studies --failed`, and collect again",
    Why.NOT_RECEIVED: "see that the archive sends to DoseLoop's listener",
    Why.WAITING: "see in `dose status` why the spool is not emptied",
    Why.QUARANTINED: "see `dose quarantine list` for what could not be read and why",
    Why.NO_DOSE: "see that the device writes a dose report and not only captures",
    Why.OTHER_MODALITY: "see which part of the exam sends no report of its own",
    Why.ERASED: "nothing: the patient's data were erased on purpose",
    Why.ONLY_HERE: "see that the device's images arrive in the archive",
}


def findings_of(result: Reconciliation) -> list[Finding]:
    """Findings of a reconciliation; their ids are those of device and day."""
    known = {r.device for r in result.rows if r.device_key or r.n_stored}
    in_archive = {(r.day, r.device) for r in result.rows if r.n_pacs}
    found: dict[str, Finding] = {}
    for day, device in sorted({(g.day, g.device) for g in result.gaps}):
        gaps = [g for g in result.gaps if (g.day, g.device) == (day, device)]
        rows = [r for r in result.rows if (r.day, r.device) == (day, device)]
        if (day, device) not in in_archive or all(g.why is Why.ERASED for g in gaps):
            continue  # a device that sends nothing to this archive has no gaps there
        made = _of_day(day, gaps, rows) if device in known else _of_stranger(gaps, rows)
        found.setdefault(made.finding_id, made)
    return list(found.values())


def keep_findings(result: Reconciliation, settings: Settings) -> tuple[Finding, ...]:
    """Open the findings of a reconciliation, and close those whose gaps are filled.

    Returns
    -------
    tuple of Finding
        The new ones.
    """
    new = submit_findings(settings, *findings_of(result))
    closed = _filled(result, settings)
    if closed:
        submit_decision(settings, *closed)
    return new


def _of_day(day: date, gaps: Sequence[Gap], rows: Sequence[DeviceDay]) -> Finding:
    missing = [g for g in gaps if g.is_missing]
    first, n_done = gaps[0], sum(r.n_pacs for r in rows)
    if missing:
        title = f"{len(missing)} of {n_done} exams of {day:%d %b %Y} are not stored: {first.device}"
    else:
        title = f"{len(gaps)} exams of {day:%d %b %Y} are not in the archive: {first.device}"
    return _finding(
        subject=f"{first.device_key or first.device}:{day}",
        severity=Severity.WARNING if missing else Severity.INFO,
        title=title,
        gaps=gaps,
        rows=rows,
    )


def _of_stranger(gaps: Sequence[Gap], rows: Sequence[DeviceDay]) -> Finding:
    """A device of which nothing was ever stored: one finding, not one a day."""
    device = gaps[0].device
    return _finding(
        subject=f"unmonitored:{device}",
        severity=Severity.WARNING,
        title=f"The archive has exams of {device}, and no dose of it ever came",
        gaps=gaps,
        rows=rows,
    )


def _finding(
    *,
    subject: str,
    severity: Severity,
    title: str,
    gaps: Sequence[Gap],
    rows: Sequence[DeviceDay],
) -> Finding:
    why = Counter(g.why for g in gaps)
    reasons = "; ".join(f"{n} {w.value}" for w, n in why.most_common())
    todo = "; ".join(_TODO[w] for w, _ in why.most_common())
    return Finding(
        finding_id=finding_id(DETECTOR, subject, VERSION),
        detector=DETECTOR,
        rule_version=VERSION,
        severity=severity,
        subject=subject,
        device_key=gaps[0].device_key,
        device=gaps[0].device,
        title=title,
        summary=f"Why: {reasons}. What to do: {todo}.",
        evidence={
            "day": f"{gaps[0].day}",
            "in_archive": sum(r.n_pacs for r in rows),
            "stored": sum(r.n_stored for r in rows),
            "missing": sum(r.n_missing for r in rows),
            "only_here": sum(r.n_only_here for r in rows),
            "modalities": sorted({r.modality for r in rows}),
            "gaps": [
                {"study": g.study_key, "time": g.time, "why": g.why.value, "detail": g.detail}
                for g in gaps[:_SHOWN]
            ],
        },
        occurred_at=datetime.combine(gaps[0].day, time()),
    )


def _filled(result: Reconciliation, settings: Settings) -> list[Decision]:
    """Closing decisions for open findings about days that are complete now."""
    if result.complaints or not settings.store_file.exists():
        return []
    gapped = {(g.day, g.device) for g in result.gaps}
    whole = [r for r in result.rows if (r.day, r.device) not in gapped and r.device_key]
    ids = {finding_id(DETECTOR, f"{r.device_key}:{r.day}", VERSION) for r in whole}
    findings = dose_lib.connect(settings=settings).table("findings")
    still = findings.filter(findings.detector == DETECTOR, findings.state == "open")
    rows: Iterable[dict[str, str]] = still.select("finding_id").to_pyarrow().to_pylist()
    note = f"nothing is missing any more, by the reconciliation of {result.made_at:%Y-%m-%d}"
    return [
        Decision(
            kind="finding_state",
            subject=row["finding_id"],
            payload={"state": "closed", "note": note},
            author=_AUTHOR,
        )
        for row in rows
        if row["finding_id"] in ids
    ]
