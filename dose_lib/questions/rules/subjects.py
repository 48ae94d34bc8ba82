"""Which exams: modality, region, procedure, names of the store, measures, patients."""

from __future__ import annotations

from dose_lib.questions.query import Filter
from dose_lib.questions.reading import Match, Reading
from dose_lib.questions.text import is_plural, stem
from dose_lib.questions.vocabulary import Meaning


def place_subjects(reading: Reading) -> None:
    """Modality, region, procedure, device, operator, site, manufacturer, measure."""
    for match in reading.matches:
        _place_name(reading, match)
    _place_measures(reading)
    _fold_subject(reading)


def _place_name(reading: Reading, match: Match) -> None:
    """The first sense that names something; a measure or dimension of the same words wins."""
    for meaning in match.meanings:
        if meaning.kind in ("measure", "dimension", "level"):
            return
        if meaning.kind in ("device", "operator", "site", "manufacturer"):
            _place_store_name(reading, match, meaning)
            return
        if meaning.kind == "device_group" and _is_counted_group(reading, match):
            reading.extend("device", meaning.value, match.start, match.end)
            return
        if meaning.kind == "procedure":
            reading.extend("procedure", (meaning.value,), match.start, match.end)
            return
        if meaning.kind in ("modality", "body_region"):
            _place_subject(reading, match)
            return


def _place_store_name(reading: Reading, match: Match, meaning: Meaning) -> None:
    """A name of the store; words that fit several devices fill nothing and stay unused."""
    if len(meaning.value) > 1 and meaning.kind == "device":
        return
    reading.extend(meaning.kind, meaning.value, match.start, match.end)
    if meaning.kind == "device":
        _enumerate(reading, match)


def _place_subject(reading: Reading, match: Match) -> None:
    for each in match.meanings:
        if each.kind in ("modality", "body_region"):
            reading.extend(each.kind, (each.value,), match.start, match.end)


def _is_counted_group(reading: Reading, match: Match) -> bool:
    """“the cath labs”, “both cath labs”: a family of devices, not a dimension to group by."""
    cue = reading.before(match.start, skip=1)
    if cue and cue.of("group", "which") and not is_plural(reading.tokens[match.end - 1].text):
        return False
    return all(m.kind not in ("modality",) for m in match.meanings) and not (
        match.of("dimension") and match.end - match.start == 1
    )


def _enumerate(reading: Reading, match: Match) -> None:
    """“scanner 1, 2 and 3”, “cath lab 1 vs 2”."""
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
    is_no_ct = bool(modality) and "CT" not in modality
    if slots.get("procedure") == ("CT Lumbar Spine",) and is_no_ct:
        slots["body_region"] = ("spine",)
        reading.origins["body_region"] = reading.origins["procedure"]
        slots.pop("procedure")
    if slots.get("procedure") and not regions:
        slots.pop("body_region", None)


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
