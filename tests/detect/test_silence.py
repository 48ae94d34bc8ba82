"""Silence against a device's own rhythm: what is an alarm, what is a night, a Sunday, a holiday."""

from __future__ import annotations

import math
import random
from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from dose_lib.detect.rhythm import learn_rhythm
from dose_lib.detect.silence import (
    SITE,
    DeviceExams,
    Silence,
    judge_silence,
    silence_findings,
)

MONDAY = datetime(2026, 9, 7)
WEEKS = 12
END = MONDAY + timedelta(weeks=WEEKS)  # a Monday midnight
HALF_HOUR = timedelta(minutes=30)


def exams(per_day: float = 12.0, *, seed: int = 1, weekend: float = 0.0) -> list[datetime]:
    """Independent exams from 8 to 17 on working days, fewer or none at the weekend."""
    chance = random.Random(seed)
    found = []
    for day in range(7 * WEEKS):
        rate = per_day if day % 7 < 5 else weekend
        at = 8.0
        while rate and (at := at + chance.expovariate(rate / 9.0)) < 17.0:
            found.append(MONDAY + timedelta(days=day, hours=at))
    return found


def device(name: str, times: list[datetime], until: datetime = END) -> DeviceExams:
    started = tuple(t for t in times if t <= until)
    return DeviceExams(device_key=name, device=name, started=started, lag=HALF_HOUR)


def judged(now: datetime, *devices: DeviceExams) -> dict[str, Silence]:
    return {s.device_key: s for s in judge_silence(devices, now)}


def alarms(now: datetime, *devices: DeviceExams) -> set[str]:
    return {key for key, s in judged(now, *devices).items() if s.is_alarm}


def others(until: datetime = END) -> list[DeviceExams]:
    """The rest of the department, which goes on working."""
    return [device(f"d{n}", exams(20, seed=10 + n, weekend=3), until) for n in range(4)]


def test_a_rhythm_expects_what_was_done() -> None:
    times = exams()
    rhythm = learn_rhythm(times, times[-1])
    assert rhythm is not None
    first = MONDAY + timedelta(weeks=2)
    week = rhythm.expected(first, first + timedelta(weeks=1))
    assert week == pytest.approx(len(times) / WEEKS, rel=0.05)
    assert rhythm.expected(first, first + timedelta(hours=7)) == 0.0  # nobody at night
    assert rhythm.expected(first + timedelta(days=5), first + timedelta(days=7)) == 0.0


def test_expectation_adds_up_however_time_is_cut() -> None:
    rhythm = learn_rhythm(exams(), END)
    assert rhythm is not None
    moments = [MONDAY + timedelta(hours=h) for h in (0, 8.5, 9, 33.25, 170, 500, 901.1)]
    pieces = sum(rhythm.expected(a, b) for a, b in pairwise(moments))
    assert rhythm.expected(moments[0], moments[-1]) == pytest.approx(pieces)
    half = {(MONDAY + timedelta(days=d)).date(): 0.5 for d in range(40)}
    assert rhythm.expected(moments[0], moments[-1], half) == pytest.approx(pieces / 2)


def test_the_limit_is_what_lets_one_false_alarm_a_year_pass() -> None:
    rhythm = learn_rhythm(exams(), END)
    assert rhythm is not None
    assert rhythm.stretch < 1.3  # these exams are independent
    gaps = rhythm.per_year
    chance = math.exp(-rhythm.limit(1.0) / rhythm.stretch)
    assert gaps * chance == pytest.approx(1.0)


def test_a_busy_device_is_missed_within_a_day() -> None:
    wednesday = END - timedelta(days=5) + timedelta(hours=9)
    silent = device("ct", exams(22), until=wednesday)
    working = others()
    assert alarms(wednesday + timedelta(hours=1), silent, *working) == set()
    assert alarms(wednesday + timedelta(hours=8), silent, *working) == {"ct"}


def test_a_quiet_device_takes_days_and_is_missed_too() -> None:
    times = exams(2.0)
    cut = END - timedelta(weeks=2)
    silent = device("xa", times, until=cut)
    assert alarms(cut + timedelta(days=1), silent, *others()) == set()
    assert alarms(cut + timedelta(days=7), silent, *others()) == {"xa"}


def test_nights_and_weekends_are_no_silence() -> None:
    friday = END - timedelta(days=3) + timedelta(hours=17)
    working = [device("ct", exams(22), until=friday), *others()]
    for hours in (1, 10, 40, 62):
        assert alarms(friday + timedelta(hours=hours), *working) == set()


def test_a_holiday_is_no_alarm() -> None:
    """On a Tuesday only emergencies are done, on every device but those without any."""
    tuesday = END - timedelta(days=6)
    morning = tuesday + timedelta(hours=7)
    outpatients = device("op", exams(22), until=morning)
    rest = [
        device(
            f"d{n}", [t for t in exams(20, seed=10 + n, weekend=3) if t < morning or t.hour > 20]
        )
        for n in range(4)
    ]
    emergency = [morning + timedelta(hours=h) for h in (2, 5, 9)]
    rest[0] = device("d0", sorted([*rest[0].started, *emergency]))
    evening = tuesday + timedelta(hours=16)
    assert alarms(evening, outpatients, *rest) == set()
    assert alarms(evening, outpatients, *others()) == {"op"}  # no holiday: it alone is silent


def test_where_nothing_comes_from_anywhere_it_is_one_alarm() -> None:
    cut = END - timedelta(days=4) + timedelta(hours=10)
    everyone = [device("ct", exams(22), until=cut), *others(until=cut)]
    assert alarms(cut + timedelta(hours=4), *everyone) == {SITE}


def test_exams_that_are_fetched_at_night_are_not_missed_by_day() -> None:
    cut = END - timedelta(days=4) + timedelta(hours=1)
    nightly = DeviceExams(
        device_key="ct",
        device="ct",
        started=device("ct", exams(22), until=cut).started,
        lag=timedelta(hours=20),
    )
    assert alarms(cut + timedelta(hours=15), nightly, *others()) == set()
    assert alarms(cut + timedelta(hours=36), nightly, *others()) == {"ct"}


@pytest.mark.parametrize("n", [0, 1, 10])
def test_few_exams_have_no_rhythm(n: int) -> None:
    times = exams()[:n]
    assert learn_rhythm(times, END) is None
    assert judge_silence([device("ct", times)], END) == []


def test_bursts_stretch_the_limit() -> None:
    regular = exams(4.0)
    bursts = [t + timedelta(minutes=m) for t in regular[::6] for m in (0, 1, 2, 3, 4, 5)]
    one, other = learn_rhythm(regular, END), learn_rhythm(bursts, END)
    assert one is not None
    assert other is not None
    assert other.stretch > 1.5 * one.stretch


def test_the_finding_is_that_of_device_and_last_exam() -> None:
    cut = END - timedelta(days=5) + timedelta(hours=9)
    silent = device("ct", exams(22), until=cut)
    first = silence_findings(judge_silence([silent, *others()], cut + timedelta(hours=9)))
    later = silence_findings(judge_silence([silent, *others()], cut + timedelta(hours=30)))
    assert [f.finding_id for f in first] == [f.finding_id for f in later]
    (found,) = first
    assert found.device_key == "ct"
    assert found.evidence["false_alarms_per_device_year"] == 1.0
    assert "What to do" in found.summary
