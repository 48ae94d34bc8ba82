"""Silent devices: how often the watch is wrong, and how late it is right, on a simulated district.

The department of the scenario works as it does for ten weeks, from which each device's rhythm is
learned, and is then judged every few hours by the rule of the service. Each alarm is false, because
nothing is silent. Then each device is cut off at some moments, spread evenly over hours and
weekdays, and judged until it is found, or three weeks have gone.

`DOSE_BENCH_SCENARIO`, `DOSE_BENCH_DAYS`, `DOSE_BENCH_CUTS` (a device) and `DOSE_BENCH_HOURS`
(between two looks; the service takes a quarter of one) set the size.
"""

from __future__ import annotations

import os
import statistics
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from itertools import pairwise

import msgspec

from dose_lib.detect.rhythm import WEEKS
from dose_lib.detect.silence import FALSE_ALARMS_PER_YEAR, DeviceExams, judge_silence
from dose_lib.simulate import Hospital

SCENARIO = os.environ.get("DOSE_BENCH_SCENARIO", "district")
DAYS = int(os.environ.get("DOSE_BENCH_DAYS", "100"))
STEP = timedelta(hours=int(os.environ.get("DOSE_BENCH_HOURS", "3")))
CUTS = int(os.environ.get("DOSE_BENCH_CUTS", "1"))
_END = date(2026, 11, 20)
_SEED = 11
_GIVEN_UP = timedelta(weeks=3)
_LEARNED = timedelta(weeks=WEEKS)
# Exams a week of a device: the busier, the sooner its silence says something.
_BANDS = ((100, "more than 100"), (40, "40 to 100"), (15, "15 to 40"), (5, "5 to 15"))


class Cut(msgspec.Struct, frozen=True):
    """A device that was cut off: how busy it was, and how long until it was found."""

    per_week: float
    hours: float | None


def main() -> None:
    """Simulate, watch, cut off, and print what came of it."""
    exams = _exams()
    first = min(s[0] for s in exams.values())
    begin = datetime.combine((first + _LEARNED).date() + timedelta(days=1), time())
    end = datetime.combine(_END + timedelta(days=1), time())
    years = len(exams) * (end - begin).days / 365.25
    total = sum(map(len, exams.values()))
    print(
        f"{SCENARIO}: {total} exams of {len(exams)} devices in {DAYS} days, seed {_SEED}; watched"
        f" {begin:%Y-%m-%d} to {end:%Y-%m-%d}, {years:.1f} device-years, judged every {STEP}",
        flush=True,
    )
    false = _false_alarms(exams, begin, end)
    print(
        f"false alarms: {len(false)} ({len(false) / years:.2f} a device-year; let pass:"
        f" {FALSE_ALARMS_PER_YEAR:g})"
    )
    for device, last in sorted(false):
        print(f"  {device}, silent since {last:%a %Y-%m-%d %H:%M}")
    cuts = list(_cut_off(exams, begin, end - _GIVEN_UP))
    found = [c for c in cuts if c.hours is not None]
    print(f"silences found: {len(found)} of {len(cuts)}")
    _print_delays(cuts)


def _exams() -> dict[str, list[datetime]]:
    """Starts of exams by device, in order; each study once."""
    hospital = Hospital.load(SCENARIO, seed=_SEED, end=_END, days=DAYS)
    found: dict[str, list[datetime]] = {}
    for exam in hospital.exams():
        found.setdefault(exam.device.station, []).append(exam.started_at)
    return {device: sorted(starts) for device, starts in sorted(found.items())}


def _seen(exams: Mapping[str, Sequence[datetime]], now: datetime) -> list[DeviceExams]:
    """What the store knows of the devices at a moment."""
    oldest = now - 2 * _LEARNED
    return [
        DeviceExams(
            device_key=device,
            device=device,
            started=tuple(starts[bisect_right(starts, oldest) : bisect_right(starts, now)]),
        )
        for device, starts in exams.items()
    ]


def _false_alarms(
    exams: Mapping[str, Sequence[datetime]], begin: datetime, end: datetime
) -> set[tuple[str, datetime]]:
    """Alarms though nothing is silent; one a silence, however often it is seen."""
    found = set()
    now = begin
    while now < end:
        alarms = (s for s in judge_silence(_seen(exams, now), now) if s.is_alarm)
        found |= {(s.device, s.last) for s in alarms}
        now += STEP
    return found


def _cut_off(
    exams: Mapping[str, Sequence[datetime]], begin: datetime, end: datetime
) -> Iterator[Cut]:
    """Each device cut off at moments that meet every hour and weekday in turn."""
    step = (end - begin) / CUTS
    for n, (device, starts) in enumerate(exams.items()):
        for k in range(CUTS):
            # 37 hours and a part of the step apart: no device has the hours of another.
            at = begin + k * step + (n * timedelta(hours=37, minutes=13)) % step
            before = [s for s in starts if at - _LEARNED <= s <= at]
            silent = dict(exams) | {device: [s for s in starts if s <= at]}
            yield Cut(len(before) / WEEKS, _hours_until_found(silent, device, at))


def _hours_until_found(
    exams: Mapping[str, Sequence[datetime]], device: str, at: datetime
) -> float | None:
    for n in range(1, int(_GIVEN_UP / STEP) + 1):
        now = at + n * STEP
        if any(s.device == device and s.is_alarm for s in judge_silence(_seen(exams, now), now)):
            return (now - at) / timedelta(hours=1)
    return None


def _print_delays(cuts: Sequence[Cut]) -> None:
    """Median and 90th percentile of the delay, by how busy the device was."""
    edges = [(float("inf"), ""), *_BANDS]
    for (below, _), (least, name) in pairwise(edges):
        some = [c for c in cuts if least <= c.per_week < below]
        hours = sorted(c.hours for c in some if c.hours is not None)
        if not hours:
            continue
        late = hours[min(len(hours) - 1, int(0.9 * len(hours)))]
        print(
            f"  {name} exams a week: {len(hours)} of {len(some)} found, after"
            f" {statistics.median(hours):.0f} hours (median), {late:.0f} (90th percentile)"
        )
    rare = [c for c in cuts if c.per_week < _BANDS[-1][0]]
    if rare:
        n = sum(c.hours is not None for c in rare)
        print(f"  fewer than {_BANDS[-1][0]} exams a week: {n} of {len(rare)} found")


if __name__ == "__main__":
    main()
