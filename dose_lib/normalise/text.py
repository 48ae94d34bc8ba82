"""Names as scanners and people write them, cut into comparable words."""

from __future__ import annotations

import re
import unicodedata

_CAMEL = re.compile(r"(?<=[a-zà-öø-ÿ])(?=[A-ZÀ-ÖØ-Þ])|(?<=[A-Z])(?=[A-Z][a-zà-öø-ÿ]{2})")
# Contrast shorthand holds signs that the cutting below would lose.
_SHORTHAND = (
    (re.compile(r"\bw\s*/?\s*(?:and|&|\+)?\s*(?:w\s*/\s*o|wo)\b"), " with and without "),
    (re.compile(r"\bw\s*/\s*o\b|\bw\.o\.?(?=\s|$)"), " without "),
    (re.compile(r"\bw\s*/(?=\s|$|[a-z])"), " with "),
    (re.compile(r"\bc\+\s*/\s*-|[+]/-\s*c\b|\bc\s*-\s*/\s*\+"), " with and without contrast "),
    (re.compile(r"(?<![a-z])c\s?\+(?![a-z])|(?<![a-z])\+\s?c(?![a-z])"), " with contrast "),
    (re.compile(r"(?<![a-z])c-(?=\s|$|\))"), " without contrast "),
    (re.compile(r"[+]\s*/\s*-|±"), " plusminus "),  # "with or without what follows"
)
_CUT = re.compile(r"[^a-z0-9]+")
_DIGITS = re.compile(r"(?<=\d)(?=[a-z])|(?<=[a-z])(?=\d)")
_NUMBER = re.compile(r"^\d+$")
# Phases, vessels, and views in the languages that arrive.
_COUNTED = (
    "phas", "vessel", "view", "eben", "richt", "incid", "proie", "proye", "proje", "proj",
)  # fmt: skip


def fold_text(text: str) -> str:
    """Text in lower case without accents, sharp s and ligatures spelled out."""
    plain = text.replace("ß", "ss").replace("ø", "o").replace("Ø", "O").replace("ł", "l")
    plain = plain.replace("Ł", "L").replace("æ", "ae").replace("Æ", "AE").replace("œ", "oe")
    split = unicodedata.normalize("NFKD", plain)
    return "".join(c for c in split if not unicodedata.combining(c)).casefold()


def cut_words(text: str) -> tuple[str, ...]:
    """Words of a name in order: camel case, digits and punctuation cut, accents gone.

    Numbers are left out but for a count of phases, vessels or views ("3 phase"); contrast
    shorthand ("w/o", "C+") becomes words.

    Examples
    --------
    >>> cut_words("Thorax^01_ThoraxRoutine (Adult)")
    ('thorax', 'thorax', 'routine', 'adult')
    >>> cut_words("CT ABD/PEL W/O C+")
    ('ct', 'abd', 'pel', 'without', 'with', 'contrast')
    """
    line = fold_text(_CAMEL.sub(" ", text))
    for pattern, meaning in _SHORTHAND:
        line = pattern.sub(meaning, line)
    words = [w for part in _CUT.split(line) for w in _DIGITS.split(part) if w]
    return tuple(w for i, w in enumerate(words) if not _NUMBER.match(w) or _counts(words, i))


def _counts(words: list[str], i: int) -> bool:
    follows = words[i + 1] if i + 1 < len(words) else ""
    return len(words[i]) == 1 and (follows == "v" or follows.startswith(_COUNTED))
