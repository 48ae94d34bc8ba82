"""The watch over devices that fall silent: looks at the store, opens findings, closes old ones.

Silence brings no object, so no detector would ever be called: the scheduler runs this every
`silence_minutes` (`python -m pipelines.silence`, see `turns`).
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

import dose_lib
from dose_lib import Settings, load_settings
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
from pipelines.logs import configure_logs

log = logging.getLogger(__name__)

PART = "silence"

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


def look_or_log(settings: Settings) -> int:
    """Like `look_for_silence`, for a timetable: an error is a line of the log; the exit code."""
    try:
        found = look_for_silence(settings)
    except DoseError as error:
        log.error("devices are not watched", extra={"reason": str(error)})
        return error.exit_code
    for finding in found.opened:
        log.warning("device is silent", extra={"finding": finding.finding_id})
    return link_or_log(settings)


def link_or_log(settings: Settings) -> int:
    """Join units of exports with those of DICOM that have come since, where it is beyond doubt."""
    from dose_lib.equipment import link_sure_twins

    if not settings.store_file.exists():
        return 0
    try:
        con = dose_lib.connect(settings=settings)
        has_imports = con.table("history").limit(1).count().to_pyarrow().as_py()
        joined = link_sure_twins(con, settings=settings) if has_imports else ()
    except DoseError as error:
        log.error("devices of exports are not joined", extra={"reason": str(error)})
        return error.exit_code
    if joined:
        log.info("devices of exports joined", extra={"count": len(joined)})
    return 0


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


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry of the process: one look."""
    parser = argparse.ArgumentParser(prog=f"python -m pipelines.{PART}")
    parser.add_argument("--home", type=Path, required=True)
    settings = load_settings(parser.parse_args(arguments).home)
    configure_logs(settings.logs_dir, PART)
    return look_or_log(settings)


if __name__ == "__main__":
    raise SystemExit(main())
