"""A question as tokens: lower case, units and numbers apart, each with its place in the text."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

LONGEST_QUESTION = 500  # characters
# 12 to 31 are written as digits in questions; "one" is mostly a pronoun and stays a word.
NUMBERS = {
    w: n
    for n, w in enumerate(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
            "twenty",
        ]
    )
} | {"thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80}
NUMBERS |= {"ninety": 90, "hundred": 100, "dozen": 12}

_UNIT = r"(?:[mcdu]|micro|milli)?gy\s?[-.*/x]?\s?(?:cm\s?\^?2|m\s?\^?2|cm)|kg\s?/\s?m\s?\^?2"
_TOKEN = re.compile(
    rf"""
    (?P<unit>(?<![a-z])(?:{_UNIT})(?![a-z0-9]))
  | (?P<short>(?<=[a-z]\s)'\d\d\b)
  | (?P<date>\d{{4}}-\d{{1,2}}(?:-\d{{1,2}})?(?!\d)|\d{{4}}/\d{{1,2}}/\d{{1,2}}
            |\d{{1,2}}[./]\d{{1,2}}[./]\d{{2,4}}(?!\d))
  | (?P<code>\b(?:q[1-4]|h[12]|p\d\d|k\s?a\s?,\s?r|p\s?ka|\d+(?:st|nd|rd|th))\b)
  | (?P<number>\d+(?:,\d{{3}})+(?![\d])|\d+(?:[.,]\d+)?)
  | (?P<word>[^\W\d_]+(?:'[^\W\d_]+)*)
  | (?P<sign><=|>=|[<>%=/&+#,;:()?!.\-])
    """,
    re.VERBOSE,
)
_SIGNS = {"≤": "<=", "≥": ">=", "&": "and", "=>": ">=", "=<": "<="}
_FOLD = str.maketrans(
    dict.fromkeys("‐‑‒–—−―", "-")
    | dict.fromkeys("’‘´`ʼ", "'")
    | {"µ": "u", "μ": "u", "≤": "<=", "≥": ">=", "·": ".", "⋅": ".", "×": "x", "“": '"', "”": '"'}
)


@dataclass(frozen=True, slots=True)
class Token:
    """One word, number or sign; `start` and `end` are its place in the question as typed."""

    text: str
    raw: str
    start: int
    end: int

    @property
    def is_word(self) -> bool:
        """True for what carries meaning: not punctuation."""
        return self.text[:1].isalnum()


def fold(text: str) -> str:
    """Lower case with plain dashes and quotes, one character for one of `text` where possible."""
    out = []
    for char in text:
        plain = unicodedata.normalize("NFKC", char).translate(_FOLD).lower()
        # NFKC may lengthen (½, ㎏): keep places true by taking only same-length forms.
        out.append(plain if len(plain) == 1 else _short(char, plain))
    return "".join(out)


def _short(char: str, plain: str) -> str:
    return {"≤": "≤", "≥": "≥"}.get(char, plain[:1] or " ")


def tokenise(text: str) -> tuple[Token, ...]:
    """Tokens of a question.

    Number and unit, letter and digit come apart (`80kg`, `scanner3`), a possessive loses its
    ending, units are written one way (`mGy·cm` is `mgycm`).
    """
    folded = fold(text).replace("≤", "≤").replace("≥", "≥")
    tokens: list[Token] = []
    place = 0
    while place < len(folded):
        if folded[place] in "≤≥":
            tokens.append(Token(_SIGNS[folded[place]], text[place : place + 1], place, place + 1))
            place += 1
            continue
        match = _TOKEN.match(folded, place)
        if match is None:
            place += 1
            continue
        tokens.append(_token(match, text))
        place = match.end()
    return tuple(tokens)


def _token(match: re.Match[str], text: str) -> Token:
    word, kind = match.group(), match.lastgroup
    if kind == "unit":
        word = re.sub(r"[\s.*/^\-x]", "", word) if "kg" not in word else "kgm2"
    elif kind == "code":
        word = re.sub(r"[\s,]", "", word)
    elif kind == "short":
        word = "20" + word[1:]
    elif kind == "date" and re.match(r"\d{4}/", word):
        word = word.replace("/", "-")
    elif kind == "number":
        word = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", word).replace(",", ".")
    elif kind == "word":
        word = re.sub(r"'s$", "", word).replace("'", "")
        word = unicodedata.normalize("NFKD", word)
        word = "".join(c for c in word if not unicodedata.combining(c))
    else:
        word = _SIGNS.get(word, word)
    return Token(word, text[match.start() : match.end()], match.start(), match.end())


def stem(word: str) -> str:
    """A word without its plural s; what phrases are matched by."""
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def is_plural(word: str) -> bool:
    """True if `stem` takes something away."""
    return stem(word) != word


def words_of(phrase: str) -> tuple[str, ...]:
    """Stems of a phrase, without signs: the key it is looked up by."""
    return tuple(stem(t.text) for t in tokenise(phrase) if t.is_word or t.text in ("%", "/", "#"))


def number_of(word: str) -> float | None:
    """The number a token stands for."""
    if word in NUMBERS:
        return float(NUMBERS[word])
    try:
        return float(word)
    except ValueError:
        return None
