"""Statistic and reference levels of a question."""

from __future__ import annotations

from dose_lib.questions.reading import Match, Reading
from dose_lib.questions.text import is_plural


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
    """“which site had the most CT exams” counts."""
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
    """“local and national DRL” with words between."""
    levels = list(reading.all("level"))
    for number, token in enumerate(reading.tokens):
        if token.text == "local" and number not in reading.used and levels:
            reading.extend("compare_to", ("local_drl",), number, number + 1)


def _each_exam(reading: Reading) -> bool:
    """True where the question is about single exams, not about the practice ("are we over")."""
    if reading.slots.get("statistic") in ("share", "count"):
        return True
    texts = [t.text for t in reading.tokens]
    if (previous := reading.previous) and previous.statistic in ("share", "count"):
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
