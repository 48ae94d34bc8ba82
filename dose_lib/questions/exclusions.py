"""What is left out: "except Scanner 2", "excluding children", "not children", "without women"."""

from __future__ import annotations

from dose_lib.questions.query import Filter, Operation
from dose_lib.questions.reading import Match, Reading
from dose_lib.questions.vocabulary import Meaning

NAMES = ("device", "operator", "site", "manufacturer")
_OPPOSITE: dict[str, Operation] = {"<": ">=", ">=": "<", ">": "<=", "<=": ">"}
_NOT = ("not", "non", "no", "without", "excluding")


def take_exclusions(reading: Reading) -> None:
    """Turn what a question of its own leaves out into what it keeps."""
    for match in list(reading.matches):
        edit = match.of("edit")
        if edit and edit.value in ("only", "same", "what_about"):
            reading.used.update(range(match.start, match.end))
        if not edit or edit.value not in ("except", "drop", "instead"):
            continue
        following = reading.after(match.end, skip=1)
        if following is None:
            continue
        words = {t.text for t in reading.tokens[match.start : match.end]}
        if edit.value == "except" or words & set(_NOT):
            leave_out(reading, following, match.start)


def leave_out(reading: Reading, match: Match, start: int) -> bool:
    """Keep everything but what a match names; False if it names nothing that can be."""
    for slot in NAMES:
        if meaning := match.of(slot):
            every = getattr(reading.vocabulary.values, slot)
            kept = tuple(v for v in every if v not in meaning.value)
            reading.put(slot, kept, start, match.end)
            reading.notes.append(f"every {slot} but {', '.join(meaning.value)}")
            return _done(reading, match)
    opposite = opposite_of(match)
    if opposite is None:
        return False
    have = [f for f in reading.slots.get("filters", ()) if f.field != opposite.field]
    reading.put("filters", (*have, opposite), start, match.end)
    words = reading.words(start, match.end)
    reading.notes.append(f"“{words}” was read as {opposite.field} {opposite.op} {opposite.value}")
    return _done(reading, match)


def opposite_of(match: Match) -> Filter | None:
    """The condition of everyone else, for a group of patients or a sex."""
    sex: Meaning | None = match.of("sex")
    if sex is not None:
        return Filter(field="sex", op="=", value="M" if sex.value == "F" else "F")
    patients = match.of("patients")
    if patients is None:
        return None
    field, op, value = patients.value
    if op not in _OPPOSITE:
        return None
    return Filter(field=field, op=_OPPOSITE[op], value=value)


def _done(reading: Reading, match: Match) -> bool:
    if match in reading.matches:
        reading.matches.remove(match)
    return True
