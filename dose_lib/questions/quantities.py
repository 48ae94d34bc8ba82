"""Grammar of quantities: "over 80 kg", "between 60 and 90 kg", "5 Gy or more", "under-16s".

A closed table of units; anything else is left unused and shown. General quantity libraries
read "60-90 kg" as 60 gram and "80 kilos" as seconds (docs/questions.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pyparsing as pp

from dose_lib.questions.query import Filter
from dose_lib.questions.text import NUMBERS

# unit word -> (kind, factor to the canonical unit of that kind)
_UNITS: dict[str, tuple[str, float]] = {
    **dict.fromkeys(
        ("kg", "kgs", "kilo", "kilos", "kilogram", "kilograms", "kilogramme"), ("kg", 1)
    ),
    **dict.fromkeys(("lb", "lbs", "pound", "pounds"), ("kg", 0.45359237)),
    **dict.fromkeys(("stone", "st"), ("kg", 6.35029318)),
    **dict.fromkeys(("year", "years", "yr", "yrs", "y", "yo", "yrs old", "a"), ("year", 1)),
    **dict.fromkeys(("year - old", "year - olds", "years - old"), ("year", 1)),
    **dict.fromkeys(
        ("year old", "years old", "years of age", "year olds", "yr old", "y old"), ("year", 1)
    ),
    **dict.fromkeys(("month", "months", "months old", "month old", "mo"), ("year", 1 / 12)),
    **dict.fromkeys(("weeks old", "week old"), ("year", 7 / 365.25)),
    **dict.fromkeys(("days old", "day old"), ("year", 1 / 365.25)),
    **dict.fromkeys(("cm", "centimetre", "centimeter", "centimetres", "centimeters"), ("cm", 1)),
    **dict.fromkeys(("m", "metre", "meter", "metres", "meters"), ("cm", 100)),
    **dict.fromkeys(("min", "mins", "minute", "minutes", "min of fluoro"), ("second", 60)),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), ("second", 1)),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), ("second", 3600)),
    **dict.fromkeys(("mgycm", "mgy cm"), ("dlp", 1)),
    **dict.fromkeys(("gycm",), ("dlp", 1000)),
    **dict.fromkeys(("gycm2",), ("dap", 1)),
    **dict.fromkeys(("dgycm2",), ("dap", 0.1)),
    **dict.fromkeys(("cgycm2", "ugym2", "microgym2"), ("dap", 0.01)),
    **dict.fromkeys(("mgycm2",), ("dap", 0.001)),
    **dict.fromkeys(("ugycm2", "microgycm2"), ("dap", 1e-6)),
    **dict.fromkeys(("mgym2",), ("dap", 10)),
    **dict.fromkeys(("gym2",), ("dap", 10000)),
    **dict.fromkeys(("mgy", "milligray"), ("gray", 1)),
    **dict.fromkeys(("gy", "gray", "grays"), ("gray", 1000)),
    **dict.fromkeys(("ugy",), ("gray", 0.001)),
    **dict.fromkeys(("msv", "millisievert"), ("sievert", 1)),
    **dict.fromkeys(("kgm2", "kg / m 2"), ("bmi", 1)),
}
# noun beside a number -> kind
_NOUNS = {
    **dict.fromkeys(("bmi", "body mass index", "bmis"), "bmi"),
    **dict.fromkeys(
        ("weight", "body weight", "weighing", "weigh", "weighed", "patient weight"), "kg"
    ),
    **dict.fromkeys(("age", "aged", "ages", "patient age", "age range", "ages between"), "year"),
    **dict.fromkeys(("height", "tall", "patient height"), "cm"),
    **dict.fromkeys(("dlp", "dose length product"), "dlp"),
    **dict.fromkeys(("ctdivol", "ctdi vol", "ctdi"), "ctdivol"),
    **dict.fromkeys(("ssde",), "ssde"),
    **dict.fromkeys(("dap", "kap", "dose area product", "pka", "kerma area product"), "dap"),
    **dict.fromkeys(
        ("air kerma", "kar", "kerma", "skin dose", "ak", "cak", "peak skin dose"), "air_kerma"
    ),
    **dict.fromkeys(
        ("agd", "mgd", "average glandular dose", "mean glandular dose", "glandular dose"), "agd"
    ),
    **dict.fromkeys(("effective dose",), "effective_dose"),
    **dict.fromkeys(
        ("fluoro time", "fluoroscopy time", "screening time", "fluoro", "fluoroscopy"), "fluoro"
    ),
}
_FIELD = {
    "kg": "weight_kg",
    "year": "age_y",
    "cm": "height_cm",
    "second": "fluoro_time_s",
    "bmi": "bmi",
    "dlp": "dlp",
    "dap": "dap",
    "ctdivol": "ctdivol",
    "ssde": "ssde",
    "air_kerma": "air_kerma",
    "agd": "agd",
    "effective_dose": "effective_dose",
    "sievert": "effective_dose",
    "fluoro": "fluoro_time_s",
}
GRAYS = ("ctdivol", "ssde", "air_kerma", "agd")  # fields a bare "mGy" may mean
_MEASURES = (*GRAYS, "dlp", "dap", "effective_dose")
_OVER = (
    *(
        "above",
        "over",
        "more than",
        "greater than",
        "larger than",
        "bigger than",
        "higher than",
        ">",
    ),
    *(
        "exceeding",
        "exceeds",
        "exceed",
        "exceeded",
        "in excess of",
        "beyond",
        "upwards of",
        "upward of",
    ),
    *(
        "heavier than",
        "older than",
        "longer than",
        "taller than",
        "past",
        "after the age of",
        "older",
    ),
    *("that exceed", "larger", "longer", "who exceed", "went above", "went over", "surpassing"),
)
_AT_LEAST = (
    *(
        "at least",
        "no less than",
        "not less than",
        "minimum",
        "minimum of",
        ">=",
        "min",
        "from age",
    ),
    *("a minimum of", "not under", "not below", "from the age of", "starting at", "equal or above"),
)
_UNDER = (
    *(
        "below",
        "under",
        "less than",
        "lower than",
        "lighter than",
        "younger than",
        "smaller than",
        "<",
    ),
    *("shorter than", "fewer than", "not yet", "before the age of", "up to but not including"),
)
_AT_MOST = (
    *("at most", "no more than", "not more than", "up to", "maximum", "maximum of", "<=", "max"),
    *(
        "not over",
        "not above",
        "not exceeding",
        "a maximum of",
        "until the age of",
        "up to the age of",
    ),
)
_AGES = (
    *("year old", "years old", "year olds", "yr old", "yo", "years of age", "y old"),
    *("year - old", "year - olds", "months old", "month old", "weeks old", "days old"),
)
_OLDER = {
    "older than": "year",
    "younger than": "year",
    "after the age of": "year",
    "before the age of": "year",
    "from the age of": "year",
    "until the age of": "year",
    "up to the age of": "year",
    "from age": "year",
    "heavier than": "kg",
    "lighter than": "kg",
    "taller than": "cm",
}
_OR_MORE = (
    *(
        "or more",
        "or over",
        "or above",
        "or older",
        "or heavier",
        "and over",
        "and above",
        "and older",
    ),
    *(
        "and up",
        "or higher",
        "or longer",
        "plus",
        "+",
        "upwards",
        "and more",
        "or greater",
        "and heavier",
    ),
)
_OR_LESS = (
    *("or less", "or under", "or below", "or younger", "or lighter", "and under", "and below"),
    *("and younger", "or fewer", "or lower", "and less", "or smaller", "and lighter"),
)
_SIGN = {
    phrase: sign
    for phrases, sign in ((_OVER, ">"), (_UNDER, "<"), (_AT_LEAST, ">="), (_AT_MOST, "<="))
    for phrase in phrases
}
QUANTITY_WORDS = frozenset(
    w
    for group in (_UNITS, _NOUNS, _OVER, _AT_LEAST, _UNDER, _AT_MOST, _OR_MORE, _OR_LESS)
    for phrase in group
    for w in phrase.split()
    if len(w) > 2
)


@dataclass(frozen=True, slots=True)
class Amount:
    """A quantity found in the text; `kind` is None where no unit and no noun said what it is."""

    op: str
    low: float
    high: float | None
    kind: str | None
    noun: str | None
    start: int
    end: int
    assumed: str | None = None

    def filter_on(self, field: str) -> Filter:
        """The condition, on a field of the query."""
        low = round(self.low, 6)
        if self.high is not None:
            ends = sorted((low, round(self.high, 6)))
            return Filter.model_validate({"field": field, "op": "between", "value": tuple(ends)})
        return Filter.model_validate({"field": field, "op": self.op, "value": low})


def field_of(kind: str | None) -> str | None:
    """Field of the query for a kind of quantity; None for what needs more context."""
    return _FIELD.get(kind or "")


def measure_of(noun: str | None) -> str | None:
    """The measure a noun beside a number names ("DLP above 1500")."""
    if noun in _MEASURES:
        return noun
    return "fluoro_time" if noun == "fluoro" else None


def find_amounts(text: str) -> list[Amount]:
    """Every quantity with a comparison in a normalised question (tokens joined by one blank)."""
    found = []
    for tokens, start, end in _grammar().scan_string(text):
        amount = _amount(_named(tokens), start, end)
        if amount is not None:
            found.append(amount)
    return found


def _named(tokens: pp.ParseResults) -> dict[str, Any]:
    """Named tokens as single values; pyparsing may nest them."""
    found = {name: tokens[name] for name in tokens.as_dict()}
    return {n: v[0] if isinstance(v, pp.ParseResults) else v for n, v in found.items()}


def _amount(t: dict[str, Any], start: int, end: int) -> Amount | None:
    op, factor, kind = _SIGN.get(t.get("said", ""), "="), 1.0, None
    unit, noun = t.get("unit"), t.get("noun")
    if unit:
        kind, factor = _UNITS[unit]
    elif "aged" in t:
        kind = "year"
    if noun and kind in (None, "gray", "sievert") and _NOUNS[noun] not in ("kg", "year", "cm"):
        kind = _NOUNS[noun]
    kind = kind or (_NOUNS.get(noun) if noun else None) or _OLDER.get(t.get("said", ""))
    assumed = None
    if kind == "fluoro" and not unit:
        factor, assumed = 60.0, "fluoroscopy time without a unit was read as minutes"
    if "suffix" in t:
        op = t["suffix"]
    low = t["low"] * factor
    high = t["high"] * factor if "high" in t else None
    if op == "=" and high is None and not ("aged" in t or kind == "year"):
        return None
    return Amount(op, low, high, kind, _NOUNS.get(noun) if noun else None, start, end, assumed)


def _phrases(words: Any) -> pp.ParserElement:
    ordered = sorted(words, key=lambda p: (-len(p.split()), -len(p)))
    return pp.MatchFirst(
        [
            pp.Regex(r"(?<!\S)" + r"\s".join(_escape(w) for w in p.split()) + r"(?!\S)")
            for p in ordered
        ]
    )


def _escape(word: str) -> str:
    return "".join("\\" + c if c in "+.*?()[]{}|^$" else c for c in word)


@lru_cache(maxsize=1)
def _grammar() -> pp.ParserElement:
    words = set(NUMBERS) - {"zero"}
    number = pp.Regex(r"(?<!\S)\d+(?:\.\d+)?(?!\S)") | _phrases(words)
    number = number.copy().set_parse_action(lambda t: float(NUMBERS.get(t[0]) or t[0]))
    half = _phrases(("half an", "half a")).set_parse_action(lambda: 0.5)
    an = _phrases(("an", "one")).set_parse_action(lambda: 1.0) + pp.FollowedBy(_phrases(("hour",)))
    single = number | half | an
    op = _phrases(_SIGN)("said")
    dash = pp.Suppress(pp.Optional(pp.Literal("-")))
    unit = dash + _phrases(_UNITS)("unit")
    noun = _phrases(_NOUNS)("noun")
    of = pp.Suppress(
        pp.Optional(
            _phrases(
                ("of", "is", "was", "were", "are", "being", "values", "value", "range", "from")
            )
        )
    )
    to = pp.Suppress(_phrases(("to", "-", "and", "until", "till", "up to")))
    suffix = pp.MatchFirst(
        [
            _phrases(_OR_MORE).set_parse_action(lambda: ">="),
            _phrases(_OR_LESS).set_parse_action(lambda: "<="),
        ]
    )("suffix")
    of_noun = pp.Optional(pp.Suppress(pp.Optional(_phrases(("of", "in", "total")))) + noun)
    old = pp.Suppress(pp.Optional(dash + _phrases(("old", "olds", "of age", "in age"))))
    age_s = pp.Regex(r"s(?!\S)").set_parse_action(lambda: True)("aged")
    the = pp.Suppress(pp.Optional(_phrases(("the", "a", "about", "approximately", "roughly"))))
    between = pp.Suppress(_phrases(("between", "from", "range of", "in the range", "of")))
    up = pp.Suppress(pp.Optional(_phrases(("inclusive",))))
    two = pp.Optional(between) + single("low") + pp.Optional(pp.Suppress(_phrases(_UNITS)))
    two += to + single("high")
    ranges = (noun + of + two + pp.Optional(unit) + old + up) | (two + unit + old + of_noun + up)
    patients_of = _phrases(
        ("patients of", "children of", "patients aged", "children aged", "kids of")
    )
    aged_range = patients_of("aged") + two
    bare_range = between + single("low") + to + single("high")
    compared = op + dash + the + single("low")
    with_noun = noun + of + compared + pp.Optional(unit) + pp.Optional(suffix) + old
    over_s = op + dash + single("low") + age_s
    with_unit = compared + unit + pp.Optional(suffix) + old + of_noun
    no_unit = compared + of_noun
    or_more = pp.Optional(noun + of) + single("low") + pp.Optional(unit) + suffix
    noun_number = noun + of + single("low") + unit + suffix
    equal_age = single("low") + dash + _phrases(_AGES)("unit")
    return pp.MatchFirst(
        [
            ranges,
            with_noun,
            over_s,
            with_unit,
            noun_number,
            or_more,
            equal_age,
            aged_range,
            no_unit,
            bare_range,
        ]
    )
