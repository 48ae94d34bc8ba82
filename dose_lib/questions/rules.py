"""From what was found in a question to the slots of a query; one rule a slot, in order."""

from __future__ import annotations

from datetime import date
from typing import Any

from dose_lib.questions.period import Period, shift
from dose_lib.questions.quantities import (
    GRAYS,
    QUANTITY_WORDS,
    Amount,
    field_of,
    find_amounts,
    measure_of,
)
from dose_lib.questions.query import Filter
from dose_lib.questions.reading import Match, Origin, Reading
from dose_lib.questions.text import is_plural, number_of, stem
from dose_lib.questions.times import TimeSpan, find_periods

_MEASURE_OF_MODALITY = {"XA": "air_kerma", "RF": "air_kerma", "CT": "ctdivol", "MG": "agd"}
_XA_WORDS = frozenset(
    ["cath", "angio", "angiography", "pci", "tace", "neuro", "fluoro", "coronary", "cerebral"]
)
_SUPERLATIVE = frozenset(
    [
        "top",
        "worst",
        "highest",
        "largest",
        "biggest",
        "greatest",
        "longest",
        "best",
        "lowest",
        "smallest",
        "shortest",
        "bottom",
        "first",
        "most",
        "least",
    ]
)
_ASCENDING = frozenset(["lowest", "smallest", "shortest", "bottom", "best", "least", "fewest"])


# --- time -------------------------------------------------------------------------------------


def read_time(reading: Reading, today: date, *, day_first: bool) -> list[tuple[TimeSpan, int, int]]:
    """Find periods and take their tokens out of what is looked up."""
    found = []
    for span in find_periods(reading.normal, today, day_first=day_first):
        start, end = reading.token_range(span.start, span.end)
        span = _since(reading, span, start, today)
        reading.masked.update(range(start, end))
        found.append((span, start, end))
    return found


def _since(reading: Reading, span: TimeSpan, start: int, today: date) -> TimeSpan:
    """ "since ... 6 April": an open end, with a word or two between."""
    near = [t.text for t in reading.tokens[max(0, start - 6) : start]]
    if "since" not in near or span.period.kind != "fixed" or span.period.start is None:
        return span
    period = Period(kind="since", start=span.period.start, words="since " + span.period.words)
    return TimeSpan(period.clamped(today), span.start, span.end)


def place_time(reading: Reading, spans: list[tuple[TimeSpan, int, int]], today: date) -> None:
    """Fill the period; two periods side by side are a comparison."""
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
    """ "compared with last year": against the period in hand, else the running one."""
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
    """ "October and November": one range where they touch."""
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
    """ "the same period last year", "the week before"."""
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


# --- quantities -------------------------------------------------------------------------------


def read_amounts(reading: Reading) -> list[tuple[Amount, int, int]]:
    """Find quantities outside of the periods and take their tokens out of what is looked up."""
    text = " ".join(
        "|" * len(t.text) if i in reading.masked else t.text for i, t in enumerate(reading.tokens)
    )
    found = []
    for amount in find_amounts(text):
        start, end = reading.token_range(amount.start, amount.end)
        if amount.kind is None and _is_name_number(reading, start, end):
            continue
        reading.masked.update(range(start, end))
        found.append((amount, start, end))
    return found


def _is_name_number(reading: Reading, start: int, end: int) -> bool:
    """ "than scanner 2": the number belongs to a name."""
    return any(
        stem(t.text) in ("scanner", "lab", "room", "mammo") for t in reading.tokens[start:end]
    )


def place_amounts(reading: Reading, amounts: list[tuple[Amount, int, int]]) -> None:
    """Make a condition of every quantity whose field is known; the rest stays unused."""
    for amount, start, end in amounts:
        field = _field_for(reading, amount, start)
        if field is None:
            reading.masked.difference_update(range(start, end))
            continue
        words = reading.words(start, end)
        condition = amount.filter_on(field)
        have = [f for f in reading.slots.get("filters", ()) if f.field != field]
        reading.put("filters", (*have, condition), start, end)
        measure = measure_of(amount.noun)
        if measure and "measure" not in reading.slots:
            reading.put("measure", (measure,), start, end)
        if amount.assumed:
            reading.notes.append(f"{amount.assumed} (“{words}”)")


def _field_for(reading: Reading, amount: Amount, start: int) -> str | None:
    field = field_of(amount.kind)
    if field:
        return field
    if amount.kind == "gray":
        return _gray_field(reading)
    near = {
        m.value[0]
        for match, m in reading.all("patients")
        if abs(match.end - start) <= 4 or match.start <= start + 6
    }
    if len(near) == 1:
        return str(next(iter(near)))
    measures = reading.slots.get("measure", ())
    before = reading.before(start)
    if before and before.of("patient", "sex"):
        words = reading.words(start, start + 2)
        reading.notes.append(f"“{words}” beside patients was read as years of age")
        return "age_y"
    if len(measures) == 1 and amount.low > 0:
        name = str(measures[0])
        return "fluoro_time_s" if name == "fluoro_time" else name
    return None


def _gray_field(reading: Reading) -> str | None:
    measures = [m for m in reading.slots.get("measure", ()) if m in GRAYS]
    if measures:
        return str(measures[0])
    for modality in reading.slots.get("modality", ()):
        if modality in _MEASURE_OF_MODALITY:
            return _MEASURE_OF_MODALITY[modality]
    names = (*reading.slots.get("procedure", ()), *reading.slots.get("device", ()))
    words = {w for name in names for w in name.lower().split()}
    if words & _XA_WORDS:
        return "air_kerma"
    return "ctdivol" if "ct" in words or "scanner" in words else None


# --- top n ------------------------------------------------------------------------------------


def read_top(reading: Reading) -> None:
    """ "top 10", "worst 20", "the ten exams with the highest": order and limit."""
    tokens = reading.tokens
    for number, token in enumerate(tokens):
        if number in reading.masked:
            continue
        count = number_of(token.text) if token.text != "hundred" else 100
        if count is None or count != int(count) or not 1 <= count <= 5000:
            continue
        before = tokens[number - 1].text if number else ""
        after = tokens[number + 1].text if number + 1 < len(tokens) else ""
        if before in _SUPERLATIVE and before not in ("first", "most", "least"):
            start = number - 1
            _order(reading, before, int(count), start, number + 1)
        elif after in _SUPERLATIVE and after not in ("top", "first"):
            _order(reading, after, int(count), number, number + 2)
        elif (place := _superlative_later(reading, number)) is not None:
            _order(reading, tokens[place].text, int(count), number, number + 1)
            reading.used.add(place)
            reading.masked.add(place)
        else:
            continue
        return


def _superlative_later(reading: Reading, number: int) -> int | None:
    """ "ten PCIs with the longest": within four words, with/by/of the superlative."""
    texts = [t.text for t in reading.tokens]
    following = texts[number + 1 : number + 6]
    for offset, text in enumerate(following):
        if text in _SUPERLATIVE and offset >= 2 and following[offset - 1] == "the":
            if following[offset - 2] in ("with", "having", "of", "showing", "who", "that"):
                return number + 1 + offset
    return None


def _order(reading: Reading, word: str, count: int, start: int, end: int) -> None:
    reading.put("order", "asc" if word in _ASCENDING else "desc", start, end)
    reading.put("limit", count, start, end)
    reading.masked.update(range(start, end))


# --- names and subjects -----------------------------------------------------------------------


def place_subjects(reading: Reading) -> None:
    """Modality, region, procedure, device, operator, site, manufacturer, measure."""
    for match in reading.matches:
        _place_name(reading, match)
    _place_measures(reading)
    _fold_subject(reading)


def _place_name(reading: Reading, match: Match) -> None:
    for meaning in match.meanings:
        kind, value = meaning.kind, meaning.value
        if kind in ("device", "operator", "site", "manufacturer"):
            if len(value) > 1 and kind == "device":
                return
            reading.extend(kind, value, match.start, match.end)
            if kind == "device":
                _enumerate(reading, match)
            return
        if kind == "procedure":
            reading.extend(kind, (value,), match.start, match.end)
            return
        if kind == "device_group":
            if not _is_counted_group(reading, match):
                continue
            reading.extend("device", value, match.start, match.end)
            return
        if kind in ("modality", "body_region"):
            for each in match.meanings:
                if each.kind in ("modality", "body_region"):
                    reading.extend(each.kind, (each.value,), match.start, match.end)
            return
        if kind in ("measure", "dimension", "level"):
            return


def _is_counted_group(reading: Reading, match: Match) -> bool:
    """ "the cath labs", "both cath labs": a family of devices, not a dimension to group by."""
    cue = reading.before(match.start, skip=1)
    if cue and cue.of("group", "which") and not is_plural(reading.tokens[match.end - 1].text):
        return False
    return all(m.kind not in ("modality",) for m in match.meanings) and not (
        match.of("dimension") and match.end - match.start == 1
    )


def _enumerate(reading: Reading, match: Match) -> None:
    """ "scanner 1, 2 and 3", "cath lab 1 vs 2"."""
    tokens = reading.tokens
    first = tokens[match.end - 1].text
    phrase = tuple(stem(t.text) for t in tokens[match.start : match.end - 1] if t.is_word)
    known = reading.vocabulary.stems.get(phrase)
    if not known:
        return
    place, last = match.end, first
    while place + 1 < len(tokens) and tokens[place].text in (
        *(",", "and", "&", "/", "vs", "versus", "or", "+", "to", "-", "with", "against", "through"),
    ):
        joiner, place = tokens[place].text, place + 1
        if joiner == "," and tokens[place].text in ("and", "or"):
            place += 1
        suffix = tokens[place].text if place < len(tokens) else ""
        if suffix not in known or place in reading.masked:
            return
        suffixes = _between(last, suffix) if joiner in ("to", "-", "through") else [suffix]
        for each in suffixes:
            reading.extend("device", known.get(each, ()), match.start, place + 1)
        last, place = suffix, place + 1


def _between(first: str, last: str) -> list[str]:
    if first.isdigit() and last.isdigit():
        return [str(n) for n in range(int(first), int(last) + 1)]
    return [last]


def _place_measures(reading: Reading) -> None:
    for match, meaning in reading.all("measure", "stand_in"):
        before = reading.before(match.start, skip=1)
        if before is not None and meaning.kind == "stand_in":
            pass
        have = reading.slots.get("measure", ())
        if meaning.kind == "stand_in":
            word = reading.words(match.start, match.end)
            reading.notes.append(
                f"“{word}” is not measured; cumulative air kerma at the reference point stands in"
            )
        if len(have) < 3:
            reading.extend("measure", (meaning.value,), match.start, match.end)


def _fold_subject(reading: Reading) -> None:
    """Chest, abdomen and pelvis of a CT is the named procedure; an X-ray is no CT procedure."""
    slots = reading.slots
    regions = list(slots.get("body_region", ()))
    modality = slots.get("modality", ())
    if "chest-abdomen-pelvis" in regions and modality in ((), ("CT",)):
        name = "CT Chest Abdomen Pelvis"
        regions.remove("chest-abdomen-pelvis")
        slots["procedure"] = tuple(dict.fromkeys((*slots.get("procedure", ()), name)))
        reading.origins["procedure"] = reading.origins["body_region"]
        slots["body_region"] = tuple(regions)
    procedures = slots.get("procedure", ())
    if (
        len(procedures) == 1
        and procedures[0].startswith("CT ")
        and modality
        and "CT" not in modality
    ):
        if procedures[0] == "CT Lumbar Spine":
            slots["body_region"] = ("spine",)
            reading.origins["body_region"] = reading.origins["procedure"]
            slots.pop("procedure")
    if slots.get("procedure") and not regions:
        slots.pop("body_region", None)


# --- patients ---------------------------------------------------------------------------------


def place_patients(reading: Reading) -> None:
    """Sex and named groups of patients, as conditions with their number shown."""
    sexes = list(dict.fromkeys(m.value for _, m in reading.all("sex")))
    for match, meaning in reading.all("sex"):
        if len(sexes) == 1:
            _add_filter(reading, Filter(field="sex", op="=", value=meaning.value), match)
        else:
            reading.extend("group_by", ("sex",), match.start, match.end)
    known = {f.field for f in reading.slots.get("filters", ())}
    for match, meaning in reading.all("patients"):
        name, op, value = meaning.value
        words = reading.words(match.start, match.end)
        reading.used.update(range(match.start, match.end))
        if name in known:
            continue
        condition = Filter.model_validate({"field": name, "op": op, "value": value})
        _add_filter(reading, condition, match)
        shown = " to ".join(f"{v:g}" for v in value) if isinstance(value, tuple) else f"{value:g}"
        reading.notes.append(f"“{words}” was read as {name} {op} {shown}")


def _add_filter(reading: Reading, condition: Filter, match: Match) -> None:
    have = [f for f in reading.slots.get("filters", ()) if f.field != condition.field]
    reading.put("filters", (*have, condition), match.start, match.end)


# --- statistic --------------------------------------------------------------------------------


def place_statistic(reading: Reading) -> None:
    """The statistic; median together with third quartile is the house default."""
    for match, _ in reading.all("default_statistic"):
        reading.used.update(range(match.start, match.end))
    found = [(match, m.value) for match, m in reading.all("statistic") if _counts(reading, match)]
    values = list(dict.fromkeys(v for _, v in found))
    if set(values) == {"median", "p75"}:
        for match, _ in found:
            reading.used.update(range(match.start, match.end))
        reading.notes.append("median and third quartile are shown together (default)")
        return
    if not found:
        _most_exams(reading)
        return
    order = [v for v in values if v in ("share", "count")] or values
    for match, value in found:
        if value == order[0]:
            reading.put("statistic", value, match.start, match.end)


def _most_exams(reading: Reading) -> None:
    """ "which site had the most CT exams" counts."""
    for number, token in enumerate(reading.tokens):
        if (
            token.text in ("most", "fewest", "least", "more", "fewer")
            and "measure" not in reading.slots
        ):
            ahead = range(number + 1, min(number + 5, len(reading.tokens)))
            for match, _ in reading.all("exam", "modality", "procedure"):
                if match.end - 1 in ahead and is_plural(reading.tokens[match.end - 1].text):
                    if reading.has("which", "who"):
                        reading.put("statistic", "count", match.end - 1, match.end)
                    return


def _counts(reading: Reading, match: Match) -> bool:
    """False for "number 4", and for max and min that order a list."""
    following = reading.tokens[match.end] if match.end < len(reading.tokens) else None
    text = reading.tokens[match.end - 1].text
    if text in ("number", "no") and following is not None and following.text.isdigit():
        return False
    if (
        text == "mean"
        and match.start
        and reading.tokens[match.start - 1].text in ("i", "we", "you")
    ):
        return False
    ranks = match.of("desc", "asc") is not None
    return not (ranks and "order" in reading.slots) and not (ranks and reading.has("which", "who"))


# --- levels -----------------------------------------------------------------------------------


def place_levels(reading: Reading) -> None:
    """Reference levels: a line beside the practice, or a level each exam must exceed."""
    for match, _ in reading.all("level_pairs"):
        reading.extend("compare_to", ("local_drl", "national_drl"), match.start, match.end)
    for match, meaning in reading.all("level"):
        cue = reading.before(match.start, skip=4)
        start = cue.start if cue and cue.of("over", "compare", "which") else match.start
        if cue and cue.of("over") and _each_exam(reading):
            reading.put("exceeds", meaning.value, start, match.end)
        else:
            reading.extend("compare_to", (meaning.value,), start, match.end)
    _local_beside(reading)


def _local_beside(reading: Reading) -> None:
    """ "local and national DRL" with words between."""
    levels = list(reading.all("level"))
    for number, token in enumerate(reading.tokens):
        if token.text == "local" and number not in reading.used and levels:
            reading.extend("compare_to", ("local_drl",), number, number + 1)


def _each_exam(reading: Reading) -> bool:
    """True where the question is about single exams, not about the practice ("are we over")."""
    if reading.slots.get("statistic") in ("share", "count"):
        return True
    texts = [t.text for t in reading.tokens]
    if previous := reading.previous:
        if previous.statistic in ("share", "count"):
            return True
    if texts[:2] in (["are", "we"], ["do", "we"], ["is", "our"], ["are", "our"], ["were", "we"]):
        return False
    plural_ct = any(t.text in ("cts", "mammograms", "pcis", "ctpas") for t in reading.tokens)
    return plural_ct or reading.has("exam") or _any_plural_subject(reading)


def _any_plural_subject(reading: Reading) -> bool:
    return any(
        is_plural(reading.tokens[match.end - 1].text)
        for match, _ in reading.all("procedure", "body_region", "modality", "patient")
    )


# --- groups, grain, order ---------------------------------------------------------------------


def place_groups(reading: Reading) -> None:
    """ "by scanner", "per site and month", "which operator", "scanner by scanner"."""
    for match, meaning in reading.all("dimension", "step"):
        if any(i in reading.used for i in range(match.start, match.end)):
            continue
        if not _is_grouped(reading, match):
            continue
        _group(reading, match)
        del meaning
    _groups_of_values(reading)
    _who(reading)
    _scatter_axis(reading)


def _group(reading: Reading, match: Match) -> None:
    cue = reading.before(match.start)
    start = cue.start if cue and cue.of("group", "which", "compare", "rank") else match.start
    step, dimension = match.of("step"), match.of("dimension")
    if step and step.value == "hour":
        reading.extend("group_by", ("hour",), start, match.end)
    elif step:
        reading.put("grain", step.value, start, match.end)
    elif dimension:
        reading.extend("group_by", (dimension.value,), start, match.end)


def _is_grouped(reading: Reading, match: Match) -> bool:
    cue = reading.before(match.start)
    if cue and cue.of("group"):
        return True
    if match.of("step"):
        return _is_listed(reading, match) or _is_named_step(reading, match)
    if cue and cue.of("which"):
        return True
    if _is_listed(reading, match):
        return True
    last = reading.tokens[match.end - 1].text
    if cue and (cue.of("compare") or cue.of("rank")) and (is_plural(last) or cue.of("rank")):
        return True
    if _is_repeated(reading, match) or _is_wise(reading, match):
        return True
    return _is_ranked(reading, match) or _is_comparison_of(reading, match)


def _is_listed(reading: Reading, match: Match) -> bool:
    """ "by site and month": joined by and, comma or slash to one that is grouped."""
    before = reading.tokens[match.start - 1].text if match.start else ""
    two = reading.tokens[match.start - 2].text if match.start > 1 else ""
    joined = before in ("and", ",", "/", "+", "x") or (
        two in ("and", ",") and before in ("by", "per")
    )
    if not joined:
        return False
    skip = 3 if two in ("and", ",") else 2
    left = reading.before(match.start, skip=skip)
    return (
        left is not None and left.of("dimension", "step") is not None and left.start in reading.used
    )


def _is_named_step(reading: Reading, match: Match) -> bool:
    """In a follow-up, "use weeks" or "in months" names the time step."""
    if reading.previous is None:
        return False
    before = reading.tokens[match.start - 1].text if match.start else ""
    return before in ("use", "in", "to", "using", "into", "with", "as", "make", "on") or (
        is_plural(reading.tokens[match.end - 1].text)
    )


def _is_repeated(reading: Reading, match: Match) -> bool:
    """ "scanner by scanner"."""
    texts = [t.text for t in reading.tokens if t.text != "-"]
    word = reading.tokens[match.end - 1].text
    return any(texts[i : i + 3] == [word, "by", word] for i in range(len(texts) - 2))


def _is_wise(reading: Reading, match: Match) -> bool:
    following = [t.text for t in reading.tokens[match.end : match.end + 2] if t.text != "-"]
    return following[:1] == ["wise"]


def _is_ranked(reading: Reading, match: Match) -> bool:
    """ "top five scanners", "scanners ranked by", "all our technicians ranked"."""
    last = reading.tokens[match.end - 1].text
    if not is_plural(last):
        return False
    cue = reading.before(match.start, skip=2)
    is_top = "limit" in reading.slots and (
        match.start - 1 in reading.used or match.start - 2 in reading.used
    )
    return is_top or reading.has("rank") or bool(cue and cue.of("desc", "asc"))


def _is_comparison_of(reading: Reading, match: Match) -> bool:
    """ "protocol comparison", "compare the scanners", "differences between sites"."""
    after = reading.tokens[match.end].text if match.end < len(reading.tokens) else ""
    if after in ("comparison", "comparisons", "differences", "ranking", "breakdown", "split"):
        reading.used.add(match.end)
        return True
    plural = is_plural(reading.tokens[match.end - 1].text)
    said = any(t.text in ("compare", "comparison", "differences", "differ") for t in reading.tokens)
    return plural and said and not _valued(reading, match)


def _valued(reading: Reading, match: Match) -> bool:
    dimension = match.of("dimension")
    return bool(dimension and reading.slots.get(dimension.value))


def _groups_of_values(reading: Reading) -> None:
    """Two devices with "vs" between them are compared side by side."""
    cues = [m for m, _ in reading.all("compare") if not _is_bound(reading, m)]
    if not cues:
        return
    for slot in (
        "device",
        "operator",
        "site",
        "manufacturer",
        "procedure",
        "body_region",
        "modality",
    ):
        values = reading.slots.get(slot, ())
        named = [
            m for m in reading.matches if m.of(slot) or (slot == "device" and m.of("device_group"))
        ]
        if len(values) < 2 or not named or slot in reading.slots.get("group_by", ()):
            continue
        for cue in cues:
            reading.extend("group_by", (slot,), cue.start, cue.end)
            break


def _is_bound(reading: Reading, cue: Match) -> bool:
    """True for "compared to" that leads to a level or an earlier period."""
    following = reading.after(cue.end)
    if following and following.of("level", "level_pairs", "earlier"):
        return True
    text = [t.text for t in reading.tokens[cue.end : cue.end + 2]]
    starts = [
        i for i in range(cue.end, min(cue.end + 3, len(reading.tokens))) if i in reading.masked
    ]
    is_time = bool(starts) and "compare_to" in reading.slots and text[:1] != [","]
    if reading.tokens[cue.start].text == "or":
        return cue.end < len(reading.tokens) and reading.tokens[cue.end].text in QUANTITY_WORDS
    return is_time


def _who(reading: Reading) -> None:
    for match, _ in reading.all("who"):
        if "operator" not in reading.slots:
            reading.extend("group_by", ("operator",), match.start, match.end)


def _scatter_axis(reading: Reading) -> None:
    """ "DLP against patient weight": the other axis of a scatter plot."""
    charts = [m.value for _, m in reading.all("chart")]
    if "scatter" not in charts:
        return
    for match, meaning in reading.all("dimension"):
        if meaning.value in ("weight_band", "age_band") and match.start not in reading.used:
            reading.extend("group_by", (meaning.value,), match.start, match.end)


def place_grain(reading: Reading) -> None:
    """ "weekly", "month by month"."""
    for match, meaning in reading.all("grain"):
        if match.of("earlier"):
            continue
        if not any(i in reading.used for i in range(match.start, match.end)):
            reading.put("grain", meaning.value, match.start, match.end)


def place_chart(reading: Reading) -> None:
    """The chart asked for; a named kind wins over "trend"."""
    found = [(match, m.value) for match, m in reading.all("chart") if _is_chart(reading, match)]
    named = (
        [f for f in found if f[1] not in ("line", "table")]
        or [f for f in found if f[1] == "line"]
        or found
    )
    for match, value in found:
        reading.used.update(range(match.start, match.end))
        if named and value == named[0][1]:
            reading.put("chart", value, match.start, match.end)
    if not found and _asks_for_rows(reading):
        return
    for match, _ in reading.all("picture"):
        reading.used.update(range(match.start, match.end))


def _is_chart(reading: Reading, match: Match) -> bool:
    return not any(i in reading.used for i in range(match.start, match.end))


def _asks_for_rows(reading: Reading) -> bool:
    """ "which exams exceeded": a list."""
    for match, _ in reading.all("which"):
        following = reading.after(match.end, skip=2)
        text = reading.tokens[following.end - 1].text if following else ""
        if following and following.of("exam") and is_plural(text) and not following.of("dimension"):
            reading.put("chart", "table", match.start, following.end)
            return True
    return False


def place_order(reading: Reading) -> None:
    """ "Which X has the highest": order and one row; "ranked": order."""
    if "order" in reading.slots:
        _take_superlatives(reading)
        return
    word = next(
        (
            (match, "desc" if match.of("desc") else "asc")
            for match in reading.matches
            if match.of("desc", "asc") and not _is_period_word(reading, match)
        ),
        None,
    )
    asked = reading.has("which", "who") and "group_by" in reading.slots
    if word and asked:
        match, order = word
        reading.put("order", order, match.start, match.end)
        if "limit" not in reading.slots and _is_one(reading):
            reading.put("limit", 1, match.start, match.end)
    elif word and reading.has("rank"):
        reading.put("order", word[1], word[0].start, word[0].end)
    elif reading.has("rank"):
        for match, _ in reading.all("rank"):
            reading.put("order", "desc", match.start, match.end)
    elif word:
        _extreme(reading, *word)


def _is_one(reading: Reading) -> bool:
    """ "which scanner" is one; "which scanners" is a list in order."""
    for match, _ in reading.all("which"):
        following = reading.after(match.end, skip=2)
        if following and following.of("dimension"):
            return not is_plural(reading.tokens[following.end - 1].text)
    return True


def _is_period_word(reading: Reading, match: Match) -> bool:
    return match.start in reading.masked


def _take_superlatives(reading: Reading) -> None:
    for match, _ in reading.all("desc", "asc"):
        reading.used.update(range(match.start, match.end))


def _extreme(reading: Reading, match: Match, order: str) -> None:
    """ "the highest DLP" of a group is its maximum; with another statistic it is an order."""
    text = reading.tokens[match.start].text
    if text in ("more", "less", "higher", "lower", "fewer", "best", "most", "least", "top"):
        return
    if reading.slots.get("statistic") in (None, "max", "min") and "group_by" in reading.slots:
        reading.put("statistic", "max" if order == "desc" else "min", match.start, match.end)
    elif "group_by" in reading.slots or (
        "statistic" not in reading.slots and _names_exams(reading)
    ):
        reading.put("order", order, match.start, match.end)
    elif "statistic" not in reading.slots:
        reading.put("statistic", "max" if order == "desc" else "min", match.start, match.end)


def _names_exams(reading: Reading) -> bool:
    return any(
        is_plural(reading.tokens[match.end - 1].text) for match, _ in reading.all("exam", "patient")
    )


def take_plain_words(reading: Reading) -> None:
    """Nouns that carry no slot but were understood: exams, dose, patients, cues."""
    kinds = ("exam", "domain", "patient", "picture", "group", "which", "compare", "over", "rank")
    for match, _ in reading.all(*kinds):
        reading.used.update(range(match.start, match.end))
    for match, _ in reading.all("dimension", "step"):
        if not any(i in reading.used for i in range(match.start, match.end)):
            reading.used.update(range(match.start, match.end))
    for number, token in enumerate(reading.tokens):
        if token.text in reading.vocabulary.titles and number + 1 in reading.used:
            reading.used.add(number)


def settle(reading: Reading) -> dict[str, Any]:
    """The slots, empty ones left out."""
    return {k: v for k, v in reading.slots.items() if v not in (None, ())}
