"""The period of a question, and periods that are compared with each other."""

from __future__ import annotations

from datetime import date

from dose_lib.questions.period import Period, shift
from dose_lib.questions.reading import Match, Origin, Reading
from dose_lib.questions.times import TimeSpan, find_periods


def read_time(reading: Reading, today: date, *, day_first: bool) -> list[tuple[TimeSpan, int, int]]:
    """Find periods and take their tokens out of what is looked up."""
    found = []
    for said in find_periods(_without_earlier(reading), today, day_first=day_first):
        start, end = reading.token_range(said.start, said.end)
        span = _since(reading, said, start, today)
        reading.masked.update(range(start, end))
        found.append((span, start, end))
    return found


def _without_earlier(reading: Reading) -> str:
    """The question with "same period last year" blanked: that is no period of its own."""
    reading.link()
    blank = {
        i
        for match, _ in reading.all("earlier")
        if match.end - match.start > 1
        for i in range(match.start, match.end)
    }
    return " ".join(
        "|" * len(t.text) if i in blank else t.text for i, t in enumerate(reading.tokens)
    )


def _since(reading: Reading, span: TimeSpan, start: int, today: date) -> TimeSpan:
    """“since ... 6 April”: an open end, with a word or two between."""
    near = [t.text for t in reading.tokens[max(0, start - 6) : start]]
    if "since" not in near or span.period.kind != "fixed" or span.period.start is None:
        return span
    period = Period(kind="since", start=span.period.start, words="since " + span.period.words)
    return TimeSpan(period.clamped(today), span.start, span.end)


def place_time(reading: Reading, spans: list[tuple[TimeSpan, int, int]], today: date) -> None:
    """Fill the period; two periods side by side are a comparison."""
    spans = [s for s in spans if not _is_left_out(reading, s[1], s[2])]
    if not spans:
        return _earlier_only(reading)
    if len(spans) >= 2 and _compare_periods(reading, spans):
        return None
    span, start, end = spans[0]
    if _is_compared(reading, start) and len(spans) == 1:
        return _lone_comparison(reading, span.period, start, end, today)
    if len(spans) == 2 and _joined(reading, spans):
        return None
    reading.put("period", span.period, start, end)
    return _earlier_only(reading)


def _is_left_out(reading: Reading, start: int, end: int) -> bool:
    """“excluding January”: a hole in a range has no slot, and is said."""
    cue = reading.before(start, skip=1)
    edit = cue.of("edit") if cue else None
    if edit is None or edit.value != "except":
        return False
    reading.notes.append(f"“{reading.words(start, end)}” cannot be left out of a period")
    reading.masked.difference_update(range(start, end))
    return True


def _cue_between(reading: Reading, first: int, last: int) -> bool:
    return any(first <= m.start < last for m, _ in reading.all("compare"))


def _is_compared(reading: Reading, start: int) -> Match | None:
    cue = reading.before(start, skip=2)
    return cue if cue and cue.of("compare") else None


def _compare_periods(reading: Reading, spans: list[tuple[TimeSpan, int, int]]) -> bool:
    (one, s1, e1), (two, s2, e2) = spans[:2]
    anywhere = any(m.of("compare") for m in reading.matches if m.end <= s1)
    if not (_cue_between(reading, e1, s2) or anywhere):
        return False
    base, other = one.period, two.period
    if (other.start or date.min) > (base.start or date.min):
        base, other = other, base
    relation = relate(base, other)
    if relation is None:
        return False
    for slot in ("compare_to",):
        reading.extend(
            slot, (relation,), s1 if base is two.period else s2, e1 if base is two.period else e2
        )
    start, end = (s1, e1) if base is one.period else (s2, e2)
    reading.put("period", base, start, end)
    _take_cues(reading, e1, s2)
    return True


def _take_cues(reading: Reading, start: int, end: int) -> None:
    for match, _ in reading.all("compare"):
        if start <= match.start < end:
            reading.used.update(range(match.start, match.end))


def relate(base: Period, other: Period) -> str | None:
    """How `other` lies to `base`: the period before, the same a year earlier, or neither."""
    if base.start is None or other.start is None or base.end is None:
        return None
    if base.calendar_unit == "year" and other.start == shift(base.start, -1, "year"):
        return "same_period_last_year"
    if base.before().start == other.start or other.end == base.start:
        return "previous_period"
    if other.start == shift(base.start, -1, "year"):
        return "same_period_last_year"
    return None


def _lone_comparison(reading: Reading, period: Period, start: int, end: int, today: date) -> None:
    """“compared with last year”: against the period in hand, else the running one."""
    cue = _is_compared(reading, start)
    first = cue.start if cue else start
    unit = period.calendar_unit
    known = reading.previous.period if reading.previous else None
    if known is not None and (relation := relate(known, period)):
        reading.extend("compare_to", (relation,), first, end)
    elif unit == "year":
        reading.extend("compare_to", ("same_period_last_year",), first, end)
    elif unit and period.kind == "calendar" and period.offset == -1:
        reading.extend("compare_to", ("previous_period",), first, end)
        if known is None:
            current = Period(kind="to_date", unit=unit, words=f"this {unit}").clamped(today)
            reading.slots["period"] = current
            reading.origins["period"] = Origin("assumed", f"this {unit}, to compare with the last")
    else:
        reading.put("period", period, start, end)


def _joined(reading: Reading, spans: list[tuple[TimeSpan, int, int]]) -> bool:
    """“October and November”: one range where they touch."""
    (one, s1, _), (two, _, e2) = sorted(spans[:2], key=lambda s: s[0].period.start or date.min)
    first, last = one.period, two.period
    if not (first.start and first.end and last.start and last.end) or first.end != last.start:
        return False
    first_token, last_token = min(s[1] for s in spans), max(s[2] for s in spans)
    words = reading.words(first_token, last_token)[:200]
    period = Period(kind="fixed", start=first.start, end=last.end, words=words)
    reading.put("period", period, first_token, last_token)
    del s1, e2
    return True


def _earlier_only(reading: Reading) -> None:
    """“the same period last year”, “the week before”."""
    for match, meaning in reading.all("earlier"):
        cue = reading.before(match.start)
        compared = cue is not None and cue.of("compare") is not None
        known = reading.previous.period if reading.previous else None
        if not compared and known is not None and "period" not in reading.slots:
            earlier = known.before() if meaning.value == "previous_period" else known.year_before()
            words = reading.words(match.start, match.end)
            reading.put(
                "period", earlier.model_copy(update={"words": words}), match.start, match.end
            )
            return
        start = cue.start if cue and compared else match.start
        reading.extend("compare_to", (meaning.value,), start, match.end)
