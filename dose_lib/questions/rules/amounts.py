"""Quantities as conditions, and “top 10” as order and limit."""

from __future__ import annotations

from dose_lib.questions.quantities import GRAYS, Amount, field_of, find_amounts, measure_of
from dose_lib.questions.reading import Reading
from dose_lib.questions.text import number_of, stem

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
_LEADS = ("with", "having", "of", "showing", "who", "that")
_ASCENDING = frozenset(["lowest", "smallest", "shortest", "bottom", "best", "least", "fewest"])


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
    """“than scanner 2”: the number belongs to a name."""
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


def read_top(reading: Reading) -> None:
    """“top 10”, “worst 20”, “the ten exams with the highest”: order and limit."""
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
    """“ten PCIs with the longest”: within four words, with/by/of the superlative."""
    texts = [t.text for t in reading.tokens]
    following = texts[number + 1 : number + 6]
    for offset, text in enumerate(following):
        is_led = offset >= 2 and following[offset - 1] == "the"
        if text in _SUPERLATIVE and is_led and following[offset - 2] in _LEADS:
            return number + 1 + offset
    return None


def _order(reading: Reading, word: str, count: int, start: int, end: int) -> None:
    reading.put("order", "asc" if word in _ASCENDING else "desc", start, end)
    reading.put("limit", count, start, end)
    reading.masked.update(range(start, end))
