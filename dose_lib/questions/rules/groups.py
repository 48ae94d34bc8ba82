"""What the table is split by: dimensions, time steps, names that are compared."""

from __future__ import annotations

from dose_lib.questions.quantities import QUANTITY_WORDS
from dose_lib.questions.reading import Match, Reading
from dose_lib.questions.text import is_plural


def place_groups(reading: Reading) -> None:
    """“by scanner”, “per site and month”, “which operator”, “scanner by scanner”."""
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
    if (cue and cue.of("which")) or _is_listed(reading, match):
        return True
    is_plain = is_plural(reading.tokens[match.end - 1].text)
    ranked = cue is not None and cue.of("rank") is not None
    compared = cue is not None and cue.of("compare") is not None and is_plain
    shaped = _is_repeated(reading, match) or _is_wise(reading, match)
    return ranked or compared or shaped or _is_asked_apart(reading, match)


def leads_to_dimension(reading: Reading, superlative: Match) -> Match | None:
    """The dimension of "lowest (median) dose scanner", with nothing but figures between."""
    following = reading.after(superlative.end, skip=1)
    while following and following.of("domain", "measure", "statistic"):
        following = reading.after(following.end, skip=0)
    if following is None or following.of("dimension") is None:
        return None
    is_one = not is_plural(reading.tokens[following.end - 1].text)
    led = reading.after(superlative.end, skip=1) is not following
    return following if is_one and led else None


def _is_asked_apart(reading: Reading, match: Match) -> bool:
    superlatives = [m for m, _ in reading.all("desc", "asc")]
    if any(leads_to_dimension(reading, m) is match for m in superlatives):
        return True
    return _is_ranked(reading, match) or _is_comparison_of(reading, match)


def _is_listed(reading: Reading, match: Match) -> bool:
    """“by site and month”: joined by and, comma or slash to one that is grouped."""
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
    """“scanner by scanner”."""
    texts = [t.text for t in reading.tokens if t.text != "-"]
    word = reading.tokens[match.end - 1].text
    return any(texts[i : i + 3] == [word, "by", word] for i in range(len(texts) - 2))


def _is_wise(reading: Reading, match: Match) -> bool:
    following = [t.text for t in reading.tokens[match.end : match.end + 2] if t.text != "-"]
    return following[:1] == ["wise"]


def _is_ranked(reading: Reading, match: Match) -> bool:
    """“top five scanners”, “scanners ranked by”, “all our technicians ranked”."""
    last = reading.tokens[match.end - 1].text
    if not is_plural(last):
        return False
    cue = reading.before(match.start, skip=2)
    is_top = "limit" in reading.slots and (
        match.start - 1 in reading.used or match.start - 2 in reading.used
    )
    return is_top or reading.has("rank") or bool(cue and cue.of("desc", "asc"))


def _is_comparison_of(reading: Reading, match: Match) -> bool:
    """“protocol comparison”, “compare the scanners”, “differences between sites”."""
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
    if any(_is_against_the_rest(reading, cue) for cue in cues):
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


def _is_against_the_rest(reading: Reading, cue: Match) -> bool:
    """“ER CT vs the other scanners”: all are shown side by side."""
    ahead = range(cue.end, min(cue.end + 3, len(reading.tokens)))
    rest = [i for i in ahead if reading.tokens[i].text in ("rest", "other", "others", "remaining")]
    if not rest:
        return False
    for slot in ("device", "operator", "site", "manufacturer"):
        values = reading.slots.get(slot, ())
        if len(values) == 1:
            del reading.slots[slot]
            reading.extend("group_by", (slot,), cue.start, rest[0] + 1)
            reading.notes.append(f"{values[0]} is shown beside every other {slot}")
            return True
    return False


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
    """“DLP against patient weight”: the other axis of a scatter plot."""
    charts = [m.value for _, m in reading.all("chart")]
    if "scatter" not in charts:
        return
    for match, meaning in reading.all("dimension"):
        if meaning.value in ("weight_band", "age_band") and match.start not in reading.used:
            reading.extend("group_by", (meaning.value,), match.start, match.end)


def place_grain(reading: Reading) -> None:
    """“weekly”, “month by month”."""
    for match, meaning in reading.all("grain"):
        if match.of("earlier"):
            continue
        if not any(i in reading.used for i in range(match.start, match.end)):
            reading.put("grain", meaning.value, match.start, match.end)
