"""A follow-up as an edit of the query before it, slot by slot."""

from __future__ import annotations

from typing import Any

from dose_lib.questions.exclusions import leave_out, opposite_of
from dose_lib.questions.query import SUBJECT, DoseQuery, merge_filters
from dose_lib.questions.reading import Match, Origin, Reading

_NAMES = ("device", "operator", "site", "manufacturer", "procedure", "body_region", "modality")
_LEVELS = ("local_drl", "national_drl", "drl", "achievable_dose")
_FILTERS = ("weight_kg", "age_y", "sex", "bmi", "height_cm", "origin")
_CT = "CT "


def is_reset(reading: Reading) -> bool:
    """“start over”."""
    return any(m.value == "reset" for _, m in reading.all("edit"))


def take_edits(reading: Reading) -> None:
    """Read what is to be dropped, added or replaced; takes those matches out of the reading."""
    _drop_instead(reading)
    cue: tuple[str, Match] | None = None
    if _takes_away(reading):
        first = reading.matches[0]
        cue = ("drop", first)
    for match in list(reading.matches):
        edit = match.of("edit")
        if edit and edit.value in ("drop", "except", "all", "add") and not _is_value(match):
            cue = (edit.value, match)
            reading.used.update(range(match.start, match.end))
            if edit.value == "add":
                reading.added.add("*")
            continue
        if edit and not _is_value(match):
            reading.used.update(range(match.start, match.end))
            cue = None if edit.value in ("only", "same", "what_about") else cue
            continue
        if cue and cue[0] in ("drop", "all", "except"):
            taken = _drop(reading, match, cue[0])
            if (
                not taken
                and cue[0] == "drop"
                and not match.of("group", "exam", "domain", "patient")
            ):
                cue = None


def _takes_away(reading: Reading) -> bool:
    """“take the weight limit away”."""
    texts = [t.text for t in reading.tokens]
    if "take" not in texts or not {"away", "off", "out"} & set(texts) or not reading.matches:
        return False
    reading.used.update(i for i, t in enumerate(texts) if t in ("away", "off", "out"))
    return True


def _is_value(match: Match) -> bool:
    return match.of(*_NAMES, "measure", "statistic", "sex", "patients", "device_group") is not None


def _drop(reading: Reading, match: Match, how: str) -> bool:
    """Clear the slot a word names, or take a value out of it."""
    if how == "all":
        return _drop_all(reading, match)
    target = match.of("slot_names")
    if target and not match.of("device", "operator", "site"):
        return _clear(reading, match, str(target.value))
    return _drop_value(reading, match)


def _drop_all(reading: Reading, match: Match) -> bool:
    """“for all scanners”, “all patients”."""
    if dimension := match.of("dimension"):
        return _clear(reading, match, str(dimension.value))
    return match.of("patient") is not None and _clear(reading, match, "filters")


def _drop_value(reading: Reading, match: Match) -> bool:
    for slot in _NAMES:
        if meaning := match.of(slot):
            values = meaning.value if isinstance(meaning.value, tuple) else (meaning.value,)
            reading.removed.extend((slot, v) for v in values)
            return _forget(reading, match)
    opposite = opposite_of(match)
    if opposite is not None:
        have = reading.previous.filters if reading.previous else ()
        if any(f.field == opposite.field for f in have):
            return _clear(reading, match, opposite.field)
        return leave_out(reading, match, match.start)
    if level := match.of("level"):
        reading.removed.append(("compare_to", level.value))
        return _forget(reading, match)
    return False


def _clear(reading: Reading, match: Match, slot: str) -> bool:
    reading.cleared.add(slot)
    return _forget(reading, match)


def _forget(reading: Reading, match: Match) -> bool:
    reading.used.update(range(match.start, match.end))
    if match in reading.matches:
        reading.matches.remove(match)
    return True


def _drop_instead(reading: Reading) -> None:
    """“fluoro time instead of dose”: what follows is not wanted."""
    for match in list(reading.matches):
        edit = match.of("edit")
        if not (edit and edit.value == "instead"):
            continue
        reading.used.update(range(match.start, match.end))
        last = reading.words(match.end - 1, match.end).lower()
        following = reading.after(match.end)
        if last in ("of", "than", "not") and following:
            _forget(reading, following)


def apply_edits(reading: Reading, slots: dict[str, Any], previous: DoseQuery) -> DoseQuery:
    """The query before with what the follow-up changes."""
    base = _without(reading, previous)
    changed: dict[str, Any] = {}
    _subject(base, slots, changed)
    for slot, value in slots.items():
        if slot in SUBJECT:
            continue
        changed[slot] = _merged(reading, slot, value, base)
    query = base.edited(**changed)
    for slot in query.slots:
        if slot not in reading.origins:
            reading.origins[slot] = Origin("previous")
    return query


def _without(reading: Reading, previous: DoseQuery) -> DoseQuery:
    changes: dict[str, Any] = {}
    for slot in reading.cleared:
        if slot in _FILTERS:
            have = changes.get("filters", previous.filters)
            changes["filters"] = tuple(f for f in have if f.field != slot)
        elif slot == "compare_to":
            changes["compare_to"], changes["exceeds"] = (), None
        elif slot == "limit":
            changes["limit"], changes["order"] = None, None
        elif slot in DoseQuery.model_fields:
            changes[slot] = () if isinstance(getattr(previous, slot), tuple) else None
    for slot, value in reading.removed:
        have = changes.get(slot, getattr(previous, slot))
        if have:
            changes[slot] = tuple(v for v in have if v != value)
        elif slot in ("device", "operator", "site", "manufacturer"):
            every = getattr(reading.vocabulary.values, slot)
            changes[slot] = tuple(v for v in every if v != value)
            reading.notes.append(f"all of {slot} but {value}")
    return previous.edited(**changes)


def _subject(base: DoseQuery, slots: dict[str, Any], changed: dict[str, Any]) -> None:
    """Procedure, region and modality are one subject: a new one replaces the old."""
    if not any(s in slots for s in SUBJECT):
        return
    procedure = slots.get("procedure", ())
    region = slots.get("body_region", ())
    modality = slots.get("modality", ())
    if procedure:
        changed |= {"procedure": procedure, "body_region": region, "modality": modality}
        return
    if region:
        kept = modality or base.modality
        if not kept and base.procedure and base.procedure[0].startswith((_CT, "CTPA")):
            kept = ("CT",)
        changed |= {"procedure": (), "body_region": region, "modality": kept}
        return
    changed |= {"procedure": (), "modality": modality}


def _merged(reading: Reading, slot: str, value: Any, base: DoseQuery) -> Any:
    old = getattr(base, slot)
    adds = "*" in reading.added
    if slot == "filters":
        return merge_filters(old, value)
    if slot == "compare_to":
        same_kind = [v for v in old if (v in _LEVELS) == (value[0] in _LEVELS)]
        return (*(old if adds else (v for v in old if v not in same_kind)), *value)
    if slot == "group_by":
        return _groups(reading, value, base, adds=adds)
    if slot in ("device", "operator", "site", "manufacturer", "measure") and adds:
        return tuple(dict.fromkeys((*old, *value)))
    return value


def _groups(reading: Reading, value: Any, base: DoseQuery, *, adds: bool) -> Any:
    """A split is added to a comparison of named values, and to "also by"; else it replaces."""
    compares = [d for d in base.group_by if d in _NAMES and len(getattr(base, d)) > 1]
    texts = {t.text for t in reading.tokens}
    if adds or "further" in texts:
        return tuple(dict.fromkeys((*base.group_by, *value)))[:3]
    if "instead" in texts:
        return value
    return tuple(dict.fromkeys((*compares, *value)))[:3]


def looks_like_follow_up(reading: Reading) -> bool:
    """True for a fragment without a subject of its own."""
    has_edit = any(m.value != "all" and not _is_value(match) for match, m in reading.all("edit"))
    starts = bool(reading.tokens) and reading.tokens[0].text in (
        *("and", "only", "just", "same", "now", "as", "what", "how", "drop", "remove", "add", "by"),
        *(
            "break",
            "split",
            "without",
            "instead",
            "also",
            "then",
            "show",
            "make",
            "compare",
            "plot",
        ),
    )
    subject = {"modality", "procedure", "body_region"} & set(reading.slots)
    names = {"device", "operator", "site", "manufacturer"} & set(reading.slots)
    words = sum(t.is_word for t in reading.tokens)
    if subject and (names or "period" in reading.slots or "measure" in reading.slots) and words > 5:
        return False
    return (has_edit or starts) and (not subject or words <= 6)
