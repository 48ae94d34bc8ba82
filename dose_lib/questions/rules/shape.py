"""Picture, order and rows asked for, and the words that carry no slot."""

from __future__ import annotations

from typing import Any

from dose_lib.questions.reading import Match, Reading
from dose_lib.questions.rules.groups import leads_to_dimension
from dose_lib.questions.text import is_plural


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
    """“which exams exceeded”: a list."""
    for match, _ in reading.all("which"):
        following = reading.after(match.end, skip=2)
        text = reading.tokens[following.end - 1].text if following else ""
        if following and following.of("exam") and is_plural(text) and not following.of("dimension"):
            reading.put("chart", "table", match.start, following.end)
            return True
    return False


def place_order(reading: Reading) -> None:
    """“Which X has the highest”: order and one row; “ranked”: order."""
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
    asked = (reading.has("which", "who") or _is_best_of(reading)) and "group_by" in reading.slots
    if word and asked:
        match, order = word
        reading.put("order", order, match.start, match.end)
        if "limit" not in reading.slots and _is_one(reading):
            reading.put("limit", 1, match.start, match.end)
    elif (word and _is_sorting(reading, word[0])) or (word and reading.has("rank")):
        reading.put("order", word[1], word[0].start, word[0].end)
    elif reading.has("rank"):
        for match, _ in reading.all("rank"):
            reading.put("order", "desc", match.start, match.end)
    elif word:
        _extreme(reading, *word)


def _is_best_of(reading: Reading) -> bool:
    """“lowest dose scanner”: a superlative that leads to what is grouped."""
    return any(leads_to_dimension(reading, match) for match, _ in reading.all("desc", "asc"))


def _is_sorting(reading: Reading, match: Match) -> bool:
    """“worst first”, “descending”: about the order, not a maximum."""
    texts = {t.text for t in reading.tokens[match.start : match.end]}
    return bool(texts & {"first", "descending", "ascending", "decreasing", "increasing", "order"})


def _is_one(reading: Reading) -> bool:
    """“which scanner” is one; “which scanners” is a list in order."""
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
    """“the highest DLP” of a group is its maximum; with another statistic it is an order."""
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
