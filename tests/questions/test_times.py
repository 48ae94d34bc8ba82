"""Time words, each against the days it must stand for on Sunday 2026-11-22."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dose_lib.questions.period import Period, floor, shift
from dose_lib.questions.text import tokenise
from dose_lib.questions.times import find_periods

TODAY = date(2026, 11, 22)
PHRASES = {
    "over the last six weeks": ("2026-10-11", "2026-11-22"),
    "last month": ("2026-10-01", "2026-10-31"),
    "this year": ("2026-01-01", "2026-11-22"),
    "past 12 months": ("2025-11-22", "2026-11-22"),
    "since June": ("2026-06-01", "2026-11-22"),
    "since December": ("2025-12-01", "2026-11-22"),
    "in Q3": ("2026-07-01", "2026-09-30"),
    "last quarter": ("2026-07-01", "2026-09-30"),
    "last 30 days": ("2026-10-23", "2026-11-22"),
    "in 2025": ("2025-01-01", "2025-12-31"),
    "for 2026": ("2026-01-01", "2026-11-22"),
    "yesterday": ("2026-11-21", "2026-11-21"),
    "year to date": ("2026-01-01", "2026-11-22"),
    "over the past year": ("2025-11-22", "2026-11-22"),
    "last year": ("2025-01-01", "2025-12-31"),
    "from 2026-03-01 to 2026-05-31": ("2026-03-01", "2026-05-31"),
    "after 15 August": ("2026-08-16", "2026-11-22"),
    "after August": ("2026-09-01", "2026-11-22"),
    "before 1 July 2026": (None, "2026-06-30"),
    "trailing 90 days": ("2026-08-24", "2026-11-22"),
    "this week": ("2026-11-16", "2026-11-22"),
    "last week": ("2026-11-09", "2026-11-15"),
    "first half of 2026": ("2026-01-01", "2026-06-30"),
    "past quarter": ("2026-08-22", "2026-11-22"),
    "go back two years": ("2024-11-22", "2026-11-22"),
    "between March and June": ("2026-03-01", "2026-06-30"),
    "past fortnight": ("2026-11-08", "2026-11-22"),
    "01/09/2026 until 31/10/2026": ("2026-09-01", "2026-10-31"),
    "2024-2026": ("2024-01-01", "2026-11-22"),
    "of the month": ("2026-11-01", "2026-11-22"),
    "since the start of the year": ("2026-01-01", "2026-11-22"),
    "from 1st March till 15th April": ("2026-03-01", "2026-04-15"),
    "last Tuesday": ("2026-11-17", "2026-11-17"),
    "over the weekend": ("2026-11-21", "2026-11-22"),
    "last weekend": ("2026-11-14", "2026-11-15"),
    "from August on": ("2026-08-01", "2026-11-22"),
    "first two weeks of October": ("2026-10-01", "2026-10-14"),
    "last 3 months of 2025": ("2025-10-01", "2025-12-31"),
    "1-15 October": ("2026-10-01", "2026-10-15"),
    "two weeks ago": ("2026-11-02", "2026-11-08"),
    "last 8 wks": ("2026-09-27", "2026-11-22"),
    "last 4 complete months": ("2026-07-01", "2026-10-31"),
    "from November 2025 to February": ("2025-11-01", "2026-02-28"),
    "from June 2026 to December": ("2026-06-01", "2026-11-22"),
    "from March 2024 to June": ("2024-03-01", "2024-06-30"),
    "October of last year": ("2025-10-01", "2025-10-31"),
    "Oct '25": ("2025-10-01", "2025-10-31"),
    "week 45": ("2026-11-02", "2026-11-08"),
    "until end of March": (None, "2026-03-31"),
    "the 12 months up to today": ("2025-11-22", "2026-11-22"),
    "Q1-Q3 2026": ("2026-01-01", "2026-09-30"),
    "third quarter of last year": ("2025-07-01", "2025-09-30"),
    "in May": ("2026-05-01", "2026-05-31"),
    "in December": ("2025-12-01", "2025-12-31"),
}


def read(text: str, today: date = TODAY, *, day_first: bool = True) -> Period:
    normal = " ".join(t.text for t in tokenise(text))
    (span,) = find_periods(normal, today, day_first=day_first)
    return span.period


@pytest.mark.parametrize(("text", "days"), PHRASES.items(), ids=str)
def test_phrase(text: str, days: tuple[str | None, str]) -> None:
    found = read(text)
    first = found.start.isoformat() if found.start else None
    assert (first, found.last_day and found.last_day.isoformat()) == days


@pytest.mark.parametrize("text", ["may I see it", "scanner 3", "over 80 kg", "5 Gy", "ct chest"])
def test_no_time_is_no_time(text: str) -> None:
    assert find_periods(" ".join(t.text for t in tokenise(text)), TODAY) == []


def test_the_order_of_day_and_month_is_the_sites() -> None:
    assert read("on 03/04/2026", day_first=True).start == date(2026, 4, 3)
    assert read("on 03/04/2026", day_first=False).start == date(2026, 3, 4)
    assert read("on 23/04/2026", day_first=False).start == date(2026, 4, 23)


def test_a_saved_period_moves_with_the_calendar() -> None:
    found = read("last six weeks")
    later = found.clamped(date(2027, 1, 10))
    assert (later.start, later.last_day) == (date(2026, 11, 29), date(2027, 1, 10))


def test_earlier_periods() -> None:
    assert read("last month").before().to_text() == "1 Sep 2026 to 30 Sep 2026"
    assert read("this month").before().to_text() == "1 Oct 2026 to 31 Oct 2026"
    assert read("last 30 days").before().last_day == date(2026, 10, 22)
    assert read("Q3").before().start == date(2026, 4, 1)
    assert read("last quarter").year_before().start == date(2025, 7, 1)


@given(st.dates(date(1950, 1, 1), date(2200, 1, 1)), st.integers(-50, 50))
def test_months_there_and_back_stay_in_the_month(day: date, n: int) -> None:
    moved = shift(day, n, "month")
    assert (moved.year * 12 + moved.month) - (day.year * 12 + day.month) == n
    assert floor(moved, "month") == shift(floor(day, "month"), n, "month")


@given(
    st.integers(1, 60),
    st.sampled_from(["days", "weeks", "months", "quarters", "years"]),
    st.dates(date(1990, 1, 1), date(2090, 1, 1)),
)
def test_rolling_ranges_end_today_and_never_in_the_future(n: int, unit: str, today: date) -> None:
    found = read(f"the last {n} {unit}", today)
    assert found.last_day == today
    assert found.start is not None and found.start <= today
