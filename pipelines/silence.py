"""The watch over devices that fall silent: looks at the store, opens findings, closes old ones.

Silence brings no object, so no detector would ever be called: the scheduler calls this every
`silence_minutes`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec

import dose_lib
from dose_lib import Settings
from dose_lib.detect.silence import (
    NAME,
    SITE,
    DeviceExams,
    Silence,
    judge_silence,
    read_device_exams,
    silence_findings,
)
from dose_lib.errors import DoseError
from dose_lib.records import Decision, Finding
from dose_lib.store import submit_decision, submit_findings

log = logging.getLogger(__name__)

_AUTHOR = "dose silence"


class Watch(msgspec.Struct, frozen=True, kw_only=True):
    """What one look found.

    Attributes
    ----------
    silences
        Every device that has a rhythm, the most silent first.
    unwatched
        Devices whose exams come too seldom, too late, or are brought in.
    opened, closed
        Findings that are new; ids of those that ended.
    """

    silences: tuple[Silence, ...] = ()
    unwatched: tuple[str, ...] = ()
    opened: tuple[Finding, ...] = ()
    closed: tuple[str, ...] = ()


def look_for_silence(settings: Settings, now: datetime | None = None) -> Watch:
    """Judge every device now, and keep the findings in step.

    Parameters
    ----------
    settings
        Of the installation.
    now
        Local time of the site; default the clock.
    """
    if not settings.store_file.exists():
        return Watch()
    at = now or datetime.now(ZoneInfo(settings.timezone)).replace(tzinfo=None)
    con = dose_lib.connect(settings=settings)
    devices = read_device_exams(con, at)
    silences = judge_silence(devices, at)
    rows = _open_findings(con)
    ended = _ended(rows, devices)
    still = {r["device_key"] or SITE for r in rows if r["finding_id"] not in ended}
    alarms = [s for s in silences if s.is_alarm and s.device_key not in still]
    opened = submit_findings(settings, *silence_findings(alarms))
    if ended:
        submit_decision(settings, *[_closing(one) for one in ended])
    judged = {s.device_key for s in silences}
    return Watch(
        silences=tuple(sorted(silences, key=lambda s: s.limit - s.expected)),
        unwatched=tuple(d.device for d in devices if d.device_key not in judged),
        opened=opened,
        closed=tuple(ended),
    )


def look_or_log(settings: Settings) -> None:
    """Like `look_for_silence`, for a timetable: an error is a line of the log."""
    try:
        found = look_for_silence(settings)
    except DoseError as error:
        log.error("devices are not watched", extra={"reason": str(error)})
        return
    for finding in found.opened:
        log.warning("device is silent", extra={"finding": finding.finding_id})


def _open_findings(con: object) -> list[dict[str, str]]:
    findings = con.table("findings")  # type: ignore[attr-defined]
    mine = findings.filter(findings.detector == NAME, findings.state.isin(["open", "acknowledged"]))
    rows: list[dict[str, str]] = (
        mine.select("finding_id", "device_key", "occurred_at").to_pyarrow().to_pylist()
    )
    return rows


def _ended(rows: Sequence[dict[str, str]], devices: Sequence[DeviceExams]) -> list[str]:
    """Findings about devices that have sent an exam since."""
    latest: dict[str, datetime] = {d.device_key: d.started[-1] for d in devices if d.started}
    if latest:
        latest[SITE] = max(latest.values())
    return [
        row["finding_id"]
        for row in rows
        if str(latest.get(row["device_key"] or SITE, "")) > str(row["occurred_at"])
    ]


def _closing(finding: str) -> Decision:
    payload = {"state": "closed", "note": "exams arrive again"}
    return Decision(kind="finding_state", subject=finding, payload=payload, author=_AUTHOR)
