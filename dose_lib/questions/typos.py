"""Typing errors: one or two edits away from a word the box knows; every fix is shown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from rapidfuzz.distance import OSA

from dose_lib.questions.english import WORDS
from dose_lib.questions.text import Token, stem
from dose_lib.questions.vocabulary import Vocabulary

_SHORTEST = 4  # letters; below that a fix is a guess


@dataclass(frozen=True, slots=True)
class Fix:
    """A word as typed and as read."""

    typed: str
    read: str


def fix_typos(
    tokens: Iterable[Token], vocabulary: Vocabulary
) -> tuple[tuple[Token, ...], tuple[Fix, ...]]:
    """Tokens with typing errors mended, and the list of fixes.

    A word is mended when exactly one known word is nearest, with the same first letter:
    one edit (a swap of neighbours is one) under seven letters, else two. Words that begin
    with a capital inside the sentence may be names: one edit, six letters.
    """
    out, fixes = [], []
    for number, token in enumerate(tokens):
        better = _nearest(token, number == 0, vocabulary)
        if better is None:
            out.append(token)
        else:
            out.append(replace(token, text=better))
            fixes.append(Fix(token.raw, better))
    return tuple(out), tuple(fixes)


def _nearest(token: Token, is_first: bool, vocabulary: Vocabulary) -> str | None:
    word = token.text
    if not word.isalpha() or len(word) < _SHORTEST or _is_known(word, vocabulary):
        return None
    may_be_name = token.raw[:1].isupper() and not is_first and not token.raw.isupper()
    edits = 1 if len(word) < 7 or may_be_name else 2
    if may_be_name and len(word) < 6:
        return None
    scored = [
        (distance, known)
        for known in vocabulary.correctable
        if known[0] == word[0] and abs(len(known) - len(word)) <= edits
        if (distance := OSA.distance(word, known, score_cutoff=edits)) <= edits
    ]
    if not scored:
        return None
    best = min(distance for distance, _ in scored)
    nearest = [known for distance, known in scored if distance == best]
    nearest = [known for known in nearest if known in vocabulary.typo_first] or nearest
    senses = {vocabulary.meanings((stem(known),)) for known in nearest}
    # Two words as near as each other are no guess where they mean the same.
    if len(nearest) > 1 and (len(senses) > 1 or not next(iter(senses))):
        return None
    return min(nearest, key=lambda known: (abs(len(known) - len(word)), known))


def _is_known(word: str, vocabulary: Vocabulary) -> bool:
    return (
        word in vocabulary.filler
        or stem(word) in vocabulary.words
        or word in vocabulary.given_names
        or word in WORDS
        or stem(word) in WORDS
    )
