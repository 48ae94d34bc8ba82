"""Whether contrast medium was in the diagnostic acquisitions of an exam."""

from __future__ import annotations

from collections.abc import Iterable

from dose_lib import codes
from dose_lib.normalise.events import diagnostic_events
from dose_lib.normalise.lexicon import read_text
from dose_lib.records import Contrast, Modality, Part

# Procedure context of an event (CID 10014), with the codes devices send in its place.
_WITHOUT = frozenset({codes.CT_WITHOUT_CONTRAST.key})
_WITH = frozenset({codes.DIAGNOSTIC_RADIOGRAPHY_WITH_CONTRAST_MEDIA.key})
_WORDS = {
    "contrast_with": Contrast.WITH,
    "contrast_without": Contrast.WITHOUT,
    "contrast_both": Contrast.BOTH,
}


def read_contrast(part: Part, texts: Iterable[str]) -> Contrast | None:
    """Contrast of an exam; None where nothing says it.

    Parameters
    ----------
    part
        Its diagnostic events count first: all of them must state their context, for one that
        is silent may be the phase after the injection.
    texts
        Study description, procedure meanings: what they say counts where events are silent.

    Notes
    -----
    A contrast agent in an image header tells "with" only where no text says more: native
    phases of the same exam carry it too.
    """
    if (coded := contrast_of_events(part)) is not None:
        return coded
    if (said := contrast_of_words(texts)) is not None:
        return said
    return Contrast.WITH if part.contrast_agent or part.contrast_volume_ml else None


def contrast_of_words(texts: Iterable[str]) -> Contrast | None:
    """Contrast as texts say it; both where they name either."""
    said = {c for text in texts for c in _in_words(text)}
    if Contrast.BOTH in said or said == {Contrast.WITH, Contrast.WITHOUT}:
        return Contrast.BOTH
    return said.pop() if said else None


def contrast_of_events(part: Part) -> Contrast | None:
    """Contrast by the codes of a CT's diagnostic acquisitions; None if one states none."""
    if part.modality is not Modality.CT:
        return None
    seen: set[Contrast | None] = set()
    for event in diagnostic_events(part):
        context = event.procedure_context
        key = codes.fold(context.value, context.scheme) if context else ""
        if key in _WITH:
            seen.add(Contrast.WITH)
        else:
            seen.add(Contrast.WITHOUT if key in _WITHOUT else None)
    if not seen or None in seen:
        return None
    return Contrast.BOTH if len(seen) > 1 else seen.pop()


def _in_words(text: str) -> Iterable[Contrast]:
    return (_WORDS[w] for w in read_text(text).of_kind("weak") if w in _WORDS)
