"""Devices that fall silent against their own rhythm.

Each device is judged by its own hours and weekdays (see `rhythm`). Days on which the other
devices work less too (holidays) count for less, so that a holiday is no alarm; where nothing
comes from anywhere, that is one finding and not one a device. Exams count when they could
have arrived: a device whose reports are fetched at night is judged up to last night.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

import msgspec

from dose_lib.detect.rhythm import WEEKS, DayFactors, Rhythm, learn_rhythm
from dose_lib.records import Finding, Severity, finding_id

NAME, VERSION = "silent_device", "1"
FALSE_ALARMS_PER_YEAR = 1.0
"""False alarms that are let pass, for each device and year."""

SITE = "site"
_LONGEST_LAG = timedelta(hours=48)
_LIVE = timedelta(days=7)  # exams that came later were brought in afterwards
_LIVE_SHARE = 0.5
_LAG_TAIL = 0.99
_SLACK = 3.0  # expected exams of the others, below which a day says little about holidays
_FORGET = timedelta(weeks=WEEKS)  # a device that is silent for longer has been taken away


class DeviceExams(msgspec.Struct, frozen=True, kw_only=True):
    """Exams of one device in the last weeks.

    Attributes
    ----------
    started
        Their starts, in order, local time.
    lag
        How long after the start nearly all of them have arrived; None where they come too
        late, or are brought in, for the device to be watched.
    """

    device_key: str
    device: str
    started: tuple[datetime, ...]
    lag: timedelta | None = timedelta()


class Silence(msgspec.Struct, frozen=True, kw_only=True):
    """How silent a device is.

    Attributes
    ----------
    last
        Its last exam.
    expected
        Exams that its rhythm expects since then.
    limit
        Expected exams from which on it is an alarm.
    """

    device_key: str
    device: str
    last: datetime
    until: datetime
    expected: float
    limit: float
    rhythm: Rhythm

    @property
    def is_alarm(self) -> bool:
        """True if it is silent for longer than chance."""
        return self.expected >= self.limit

    @property
    def chance(self) -> float:
        """Chance of such a gap, by the device's own gaps."""
        return math.exp(-self.expected / self.rhythm.stretch)


def judge_silence(
    devices: Sequence[DeviceExams],
    now: datetime,
    *,
    false_alarms_per_year: float = FALSE_ALARMS_PER_YEAR,
) -> list[Silence]:
    """How silent each device is now; first the site as a whole, if it is silent.

    Parameters
    ----------
    devices
        Their exams of the last weeks.
    now
        Local time.
    false_alarms_per_year
        Let pass for each device.

    Returns
    -------
    list of Silence
        One a device that has a rhythm. Where the whole site is silent, that alone.
    """
    watched = [d for d in devices if d.lag is not None and d.started]
    everything = sorted(s for d in watched for s in d.started)
    lag = max((d.lag or timedelta() for d in watched), default=timedelta())
    if len(watched) > 1:
        site = DeviceExams(
            device_key=SITE, device="all devices", started=tuple(everything), lag=lag
        )
        whole = _judge(site, now, {}, false_alarms_per_year)
        if whole is not None and whole.is_alarm:
            return [whole]
    factors = _DayFactors(watched, now)
    found = [_judge(d, now, factors.without(d, now), false_alarms_per_year) for d in watched]
    return [s for s in found if s is not None]


def _judge(
    device: DeviceExams, now: datetime, factors: DayFactors, false_alarms: float
) -> Silence | None:
    until = now - (device.lag or timedelta())
    place = bisect_right(device.started, now)
    if not place:
        return None
    last = device.started[place - 1]
    rhythm = learn_rhythm(device.started, last)
    if rhythm is None or now - last > _FORGET:
        return None
    return Silence(
        device_key=device.device_key,
        device=device.device,
        last=last,
        until=until,
        expected=rhythm.expected(last, until, factors),
        limit=rhythm.limit(false_alarms),
        rhythm=rhythm,
    )


class _DayFactors:
    """How much the devices worked on the days of a silence, beside what they usually do."""

    def __init__(self, devices: Sequence[DeviceExams], now: datetime) -> None:
        self._done: dict[str, dict[date, tuple[float, float]]] = {}
        self._sum: dict[date, list[float]] = defaultdict(lambda: [0.0, 0.0])
        oldest = now - _FORGET
        last = {d.device_key: d.started[-1] for d in devices}
        begin = max(oldest, min(last.values(), default=now))
        for device in devices:
            self._done[device.device_key] = own = _days(device, begin, now)
            for day, (done, usual) in own.items():
                self._sum[day][0] += done
                self._sum[day][1] += usual

    def without(self, device: DeviceExams, now: datetime) -> dict[date, float]:
        """Factors by all other devices."""
        own = self._done[device.device_key]
        found = {}
        for day, (done, usual) in self._sum.items():
            mine = own.get(day, (0.0, 0.0))
            others, usual_of_others = done - mine[0], usual - mine[1]
            found[day] = min(1.0, (others + _SLACK) / (usual_of_others + _SLACK))
        return found


def _days(device: DeviceExams, begin: datetime, now: datetime) -> dict[date, tuple[float, float]]:
    """Exams done and expected on each day, up to when they could have arrived."""
    until = now - (device.lag or timedelta())
    rhythm = learn_rhythm(device.started, min(device.started[-1], begin)) or learn_rhythm(
        device.started, device.started[-1]
    )
    if rhythm is None:
        return {}
    found = {}
    day = begin.date()
    while day <= until.date():
        start = datetime.combine(day, time())
        end = min(start + timedelta(days=1), until)
        done = bisect_left(device.started, end) - bisect_left(device.started, start)
        found[day] = (float(done), rhythm.expected(start, end))
        day += timedelta(days=1)
    return found


def silence_findings(silences: Sequence[Silence]) -> list[Finding]:
    """Findings of the alarms among them; the id is that of device and last exam."""
    return [_finding(s) for s in silences if s.is_alarm]


def _finding(silence: Silence) -> Finding:
    subject = f"{silence.device_key}:{silence.last.isoformat(timespec='seconds')}"
    since = f"{silence.last:%a %d %b %H:%M}"
    is_site = silence.device_key == SITE
    causes = _SITE_CAUSES if is_site else _CAUSES
    summary = (
        f"Its last exam began {since}. In the time since then about {silence.expected:.0f} exams"
        f" are usual, by its own hours and weekdays of the last {silence.rhythm.weeks:g} weeks"
        f" and by how the other devices worked. Likely causes: {'; '.join(causes)}."
        f" What to do: ask whether it examines; if it does, look at `dose status` and compare"
        f" with the archive (`dose reconcile`)."
    )
    return Finding(
        finding_id=finding_id(NAME, subject, VERSION),
        detector=NAME,
        rule_version=VERSION,
        severity=Severity.ERROR if is_site else Severity.WARNING,
        subject=subject,
        device_key=None if is_site else silence.device_key,
        device=silence.device,
        title=f"Nothing has come from {silence.device} since {since}",
        summary=summary,
        evidence={
            "last_exam": silence.last.isoformat(timespec="seconds"),
            "judged_until": silence.until.isoformat(timespec="seconds"),
            "expected_exams": round(silence.expected, 2),
            "limit": round(silence.limit, 2),
            "chance": float(f"{silence.chance:.2g}"),
            "false_alarms_per_device_year": FALSE_ALARMS_PER_YEAR,
            "exams_learned_from": silence.rhythm.n_exams,
            "weeks": silence.rhythm.weeks,
            "stretch": round(silence.rhythm.stretch, 2),
            "causes": list(causes),
        },
        occurred_at=silence.last,
    )


_CAUSES = (
    "it no longer sends its dose reports (after a service, a software change or a new address)",
    "it is out of use or has no patients",
    "its network connection is lost",
)
_SITE_CAUSES = (
    "our listener cannot be reached, or the network is down",
    "the archive that passes reports on has stopped",
)


def read_device_exams(history: Any, now: datetime) -> list[DeviceExams]:
    """Exams of the last weeks by device, from the store; each study counts once.

    Parameters
    ----------
    history
        ibis backend with the view `studies`.
    now
        Local time.
    """
    studies = history.table("studies")
    begin = now - _FORGET - timedelta(weeks=WEEKS)
    some = studies.filter(
        studies.device_key.notnull(), studies.started_at >= begin, studies.started_at <= now
    )
    rows = (
        some.group_by("device_key", "study_uid")
        .agg(
            device=some.device.max(),
            started_at=some.started_at.min(),
            started_at_utc=some.started_at_utc.min(),
            received_at=some.received_at.min(),
        )
        .to_pyarrow()
        .to_pylist()
    )
    by_key: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        by_key[row["device_key"]].append(row)
    return [_exams(key, some_rows) for key, some_rows in sorted(by_key.items())]


def _exams(key: str, rows: Sequence[Mapping[str, Any]]) -> DeviceExams:
    started = tuple(sorted(r["started_at"] for r in rows))
    return DeviceExams(
        device_key=key, device=rows[-1]["device"] or key, started=started, lag=_lag(rows)
    )


def _lag(rows: Sequence[Mapping[str, Any]]) -> timedelta | None:
    """How late nearly all exams arrive; None for devices that are not followed day by day."""
    late = sorted(
        max(r["received_at"] - r["started_at_utc"], timedelta())
        for r in rows
        if r["started_at_utc"] is not None
    )
    live = late[: bisect_right(late, _LIVE)]
    if not live or len(live) < _LIVE_SHARE * len(rows):
        return None
    lag = live[min(len(live) - 1, int(_LAG_TAIL * len(live)))]
    return lag if lag <= _LONGEST_LAG else None
