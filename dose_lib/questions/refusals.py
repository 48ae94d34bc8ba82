"""Questions that are not answered: for a person, to change data, off the subject, unknown names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from rapidfuzz import fuzz, process

from dose_lib.questions.english import WORDS
from dose_lib.questions.reading import Reading
from dose_lib.questions.text import Token, stem, words_of

Kind = Literal["identity", "write", "scope", "unknown_value"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a question is not answered, and what can be asked instead."""

    kind: Kind
    message: str
    suggestions: tuple[str, ...] = ()


_DATA = (
    r"(?:stud(?:y|ies)|exams?|records?|rows?|entr(?:y|ies)|data(?:base)?|tables?|patients?|"
    r"exposures?|measurements?|objects?|findings?|scans?|drls?|reference levels?|doses?|values?|"
    r"dlps?|weights?|ages?|cases?|images?|reports?|acquisitions?|events?|names?|"
    r"limits?|levels?|scanners?|devices?|everything|operators?|protocols?)"
)
_ASKING = r"(?:^|please |pls |you |then |and |to |should |must |want you to )"
_SOFT = (
    r"(?:update|modify|correct|edit|rename|merge|alter|amend|adjust|fix|lower|raise|reassign|move|"
    r"mark|flag|acknowledge|dismiss|close|approve|sign off|archive|recalculate|import|upload)"
)
_WRITE = (
    r"\b(?:delete|erase|wipe|purge|truncate|overwrite|insert into|anonymi[sz]e|destroy|deleting|"
    r"erasing|uninstall|shut ?down|reboot)\b",
    r"\b(?:drop|remove|reset|clear)\b (?:\w+ ){0,4}?(?:tables?|database|stud(?:y|ies)|records?|"
    r"rows?|exams?|entr(?:y|ies)|data|patients? (?:record|data)\w*|exposures?|"
    r"from the (?:database|store|archive))\b",
    rf"{_ASKING}{_SOFT} (?!me\b|us\b)(?:\w+ ){{0,4}}?{_DATA}\b",
    rf"\b(?:set|change)\b (?:\w+ ){{0,5}}?{_DATA}\b(?: \w+){{0,6}}? (?:to|as|into) \w",
    r"\b(?:add|create|insert|enter|store|register|save) (?:a |an |the |this |new |another )+"
    r"(?:\w+ )?(?:stud(?:y|ies)|exams?|records?|patients?|drls?|entry|row|scanner|device|user)\b",
    r"\b(?:stop|disable|switch off|turn off|restart) (?:the |all )?(?:\w+ )?(?:scanner|alerts?|"
    r"service|monitoring|ingestion)\b",
)
_IDENTITY = (
    r"\b(?:mrns?|patient ids?|patient numbers?|hospital numbers?|nhs numbers?|"
    r"accession(?: numbers?)?|"
    r"social security|date of birth|dob|birth ?dates?|birthdays?|medical record|phone number|"
    r"home address|id numbers?|study uids?|insurance number)\b",
    r"\b(?:names?|identit(?:y|ies)) (?:of|for) (?:\w+ ){0,3}?"
    r"(?:patients?|people|persons?|women|men|child\w*)\b",
    r"\bpatients? names?\b|\bwho (?:is|was|were|are) (?:\w+ ){0,2}(?:patients?|persons?)\b",
    r"\bwho (?:got|received|gets|was exposed|"
    r"had (?:a|an|the|his|her) (?:ct|scan|exam|pci|mammogram|x))\b",
    r"\bwhich (?:patient|person)\b(?! group| age| weight| size| categor| sex)",
    r"\b(?:identify|name) (?:\w+ ){0,2}(?:patients?|persons?)\b",
    r"\b(?:my|his|her) (?:own |last |latest |recent )?"
    r"(?:mother|father|wife|husband|son|daughter|neighbou?r|ct|scan|x ray|mammogram|dose|exam|"
    r"exams|doses|brother|sister|colleague)\b",
)
_PERSON_TITLES = frozenset(("mr", "mrs", "ms", "miss", "sir", "madam", "frau", "herr"))
_STAFF_TITLES = frozenset(
    [
        "dr",
        "doctor",
        "prof",
        "professor",
        "nurse",
        "operator",
        "technician",
        "technologist",
        "radiographer",
        "radiologist",
        "cardiologist",
        "physician",
        "tech",
        "sister",
        "consultant",
        "colleague",
    ]
)
_COUNTED = frozenset(("exam", "study", "case", "workload", "caseload", "throughput"))
_WRITE_RE = [re.compile(p) for p in _WRITE]
_IDENTITY_RE = [re.compile(p) for p in _IDENTITY]
_LEAD_PERSON = frozenset(
    [
        "for",
        "of",
        "about",
        "on",
        "patient",
        "patients",
        "named",
        "called",
        "from",
        "regarding",
        "did",
        "does",
    ]
)


def refuse_at_once(reading: Reading) -> Refusal | None:
    """A refusal that follows from the words alone, before anything is looked up."""
    plain = " ".join(t.text for t in reading.tokens if t.is_word)
    if any(p.search(plain) for p in _WRITE_RE) and not _is_edit(reading, plain):
        return Refusal(
            "write",
            "The question box only reads: it changes, deletes and stores nothing.",
            ("Ask what you want to see; corrections are decisions made on the exam itself.",),
        )
    if any(p.search(plain) for p in _IDENTITY_RE) or _asks_for_person(reading):
        return _identity()
    return None


def _identity() -> Refusal:
    return Refusal(
        "identity",
        "The question asks for a person. Names and identifiers of patients are not in the store.",
        ("Ask about groups: by scanner, operator, age or weight band.",),
    )


def _is_edit(reading: Reading, plain: str) -> bool:
    """“drop the date filter”, “change the chart to bars”: about the question, not the data."""
    if reading.previous is None:
        return False
    edits = (
        r"filters?|chart|plot|grouping|period|range|split|breakdown|bars?|box|table|line|weekly|daily|"
        r"monthly|quarterly|comparison|measure|statistic|median|mean|average|percentile"
    )
    hard = r"\b(?:delete|erase|wipe|purge|database|record|records|study|studies|exams)\b"
    return re.search(rf"\b(?:{edits})\b", plain) is not None and not re.search(hard, plain)


def _asks_for_person(reading: Reading) -> bool:
    tokens = reading.tokens
    for number, token in enumerate(tokens):
        if token.text in _PERSON_TITLES and _next_word(tokens, number):
            return True
        if reading.vocabulary.is_name(token.text) and _person_here(reading, number):
            return True
    return _two_names(reading)


def _next_word(tokens: tuple[Token, ...], number: int) -> Token | None:
    rest = (t for t in tokens[number + 1 : number + 3] if t.text != ".")
    following = next(rest, None)
    return following if following and following.text.isalpha() else None


def _person_here(reading: Reading, number: int) -> bool:
    """A given name followed by an unknown word, or led in by for/of/about."""
    following = _next_word(reading.tokens, number)
    if following and is_unknown_word(reading, following):
        return True
    before = reading.tokens[number - 1].text if number else ""
    return before in _LEAD_PERSON


def is_unknown_word(reading: Reading, token: Token) -> bool:
    """True for a word that neither the vocabulary nor common English knows."""
    word = token.text
    return (
        word.isalpha()
        and len(word) > 1
        and word not in reading.vocabulary.filler
        and word not in WORDS
        and stem(word) not in WORDS
        and stem(word) not in reading.vocabulary.words
    )


def _is_capital(token: Token) -> bool:
    raw = token.raw
    return raw[:1].isupper() and not (raw.isupper() and len(raw) <= 5)


def _two_names(reading: Reading) -> bool:
    """Two capitalised unknown words side by side, or `for` and one of them."""
    tokens = reading.tokens
    for number, token in enumerate(tokens):
        if not (_is_capital(token) and is_unknown_word(reading, token)):
            continue
        before = tokens[number - 1] if number else None
        following = _next_word(tokens, number)
        if following and _is_capital(following) and is_unknown_word(reading, following):
            return before is None or before.text not in _STAFF_TITLES | {"by", "site", "at"}
        if before and before.text in ("for", "of", "about", "patient", "named", "called"):
            return True
    return False


# --- after linking ----------------------------------------------------------------------------


def refuse_unknown_names(reading: Reading) -> Refusal | None:
    """A device, brand, operator or site that the store does not have."""
    return (
        _unknown_device(reading)
        or _unknown_brand(reading)
        or _unknown_staff(reading)
        or _unknown_site(reading)
    )


def ask_back(slot: str, seen: str, known: Iterable[str]) -> Refusal:
    """The refusal for a name that does not exist, with the nearest that do."""
    names = list(known)
    near = [n for n, *_ in process.extract(seen, names, scorer=fuzz.WRatio, limit=4)]
    what = {"device": "scanner or device", "manufacturer": "manufacturer"}.get(slot, slot)
    return Refusal(
        "unknown_value",
        f"There is no {what} “{seen}” in the store.",
        tuple(near) if near else (f"No {what} is known yet.",),
    )


def _unknown_device(reading: Reading) -> Refusal | None:
    stems = reading.vocabulary.stems
    known = reading.vocabulary.values.device
    for start in range(len(reading.tokens)):
        for size in (5, 4, 3, 2, 1):
            part = reading.tokens[start : start + size]
            phrase = tuple(stem(t.text) for t in part if t.text not in ("-", "/"))
            if len(phrase) != len(part) and size > 1 and part[-1].text in ("-", "/"):
                continue
            if len(part) < size or phrase not in stems:
                continue
            found = _bad_suffix(reading, start, start + size, stems[phrase].keys())
            if found:
                seen = reading.words(start, found)
                return ask_back("device", seen, known)
            break
    return None


def _bad_suffix(reading: Reading, start: int, end: int, suffixes: Iterable[str]) -> int | None:
    """End of a number or letter after a device word that no device of this kind has."""
    if any(m.of("device") and m.start < end and start < m.end for m in reading.matches):
        return None
    numbers = {"number", "no", "nr", "#", "-"}
    place = end
    while place < len(reading.tokens) and reading.tokens[place].text in numbers:
        place += 1
    if place >= len(reading.tokens) or place in reading.used | reading.masked:
        return None
    token = reading.tokens[place]
    is_short_number = token.text.isdigit() and len(token.text) <= 2
    is_letter = len(token.raw) == 1 and token.raw.isupper() and token.raw != "A"
    if not (is_short_number or (is_letter and place == end)):
        return None
    return None if token.text in suffixes else place + 1


def _unknown_brand(reading: Reading) -> Refusal | None:
    for match, meaning in reading.all("brand"):
        if match.of("manufacturer") is None:
            seen = reading.words(match.start, match.end)
            return ask_back("manufacturer", seen, reading.vocabulary.values.manufacturer)
        del meaning
    return None


def _unknown_staff(reading: Reading) -> Refusal | None:
    tokens = reading.tokens
    for number, token in enumerate(tokens[:-1]):
        following = _next_word(tokens, number)
        if following is None or not is_unknown_word(reading, following):
            continue
        is_staff = stem(token.text) in _STAFF_TITLES
        is_hand = token.text in ("by", "only", "just", "and", "vs", "versus", "against", "with")
        if is_staff or (is_hand and _is_capital(following)):
            return ask_back("operator", following.raw, reading.vocabulary.values.operator)
    return None


def _unknown_site(reading: Reading) -> Refusal | None:
    ends = {words_of(s)[-1] for s in reading.vocabulary.values.site if words_of(s)}
    places = ends & {"wing", "campus", "center", "centre", "building", "clinic"} | {
        "campus",
        "wing",
    }
    for number, token in enumerate(reading.tokens[1:], start=1):
        before = reading.tokens[number - 1]
        if token.text in places and number not in reading.used and before.text.isalpha():
            directions = before.text in ("west", "north", "south", "east", "city", "new", "old")
            if directions or (_is_capital(before) and is_unknown_word(reading, before)):
                seen = reading.words(number - 1, number + 1)
                return ask_back("site", seen, reading.vocabulary.values.site)
    return None


def refuse_out_of_scope(reading: Reading) -> Refusal | None:
    """Asked for, but no part of the question box."""
    strong = ("measure", "stand_in", "procedure", "level")
    for match, meaning in reading.all("not_offered"):
        weak = any(i in reading.used for i in range(match.start, match.end))
        if not weak and reading.previous is None:
            word = reading.words(match.start, match.end)
            return _scope(f"“{word}” cannot be asked here: {meaning.value}.")
    if reading.previous is not None:
        return None
    named = ("modality", "body_region", "device", "device_group", "operator", "site")
    has_subject = reading.has(*strong, *named, "manufacturer", "domain", "exam", "patients") or any(
        stem(t.text) in _COUNTED for t in reading.tokens
    )
    is_sure = reading.has(*strong, "modality", "domain", "device")
    too_little = reading.coverage < 0.34 and not is_sure
    if not has_subject or too_little:
        return _scope("I found nothing about recorded radiation dose in this question.")
    return None


def _scope(message: str) -> Refusal:
    return Refusal(
        "scope",
        message,
        (
            "median DLP for head CT last month",
            "CT chest doses by scanner compared to our local DRL",
            "how many PCI cases exceeded 5 Gy air kerma this year",
        ),
    )
