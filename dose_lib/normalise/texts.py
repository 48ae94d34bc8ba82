"""The texts and codes of an exam that may name its procedure, in the order they are believed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from dose_lib.normalise.events import diagnostic_events
from dose_lib.normalise.lexicon import read_text
from dose_lib.normalise.text import fold_text
from dose_lib.records import Code, Modality, Part

PROTOCOLS = "protocol_names"


class Wording(NamedTuple):
    """One text of an exam and the field it stands in."""

    field: str
    text: str

    @property
    def key(self) -> str:
        """The text as decisions and mappings name it: folded, without white space around."""
        return text_key(self.text)


def text_key(text: str) -> str:
    """A text as mappings name it: lower case, without accents, single spaces."""
    return " ".join(fold_text(text).split())


def code_key(code: Code | None) -> str | None:
    """A code as mappings name it, ``SCHEME:value``; None for no code."""
    return f"{code.scheme or ''}:{code.value}" if code and code.value else None


def is_helper_name(text: str) -> bool:
    """True for the name of a localiser or of bolus tracking, which names no examination."""
    reading = read_text(text)
    return bool(reading.of_kind("helper_event")) and not reading.of_kind("anatomy")


def codes_of(part: Part) -> tuple[Wording, ...]:
    """Coded procedures, as keys."""
    rows = (
        ("procedure_code", code_key(part.procedure_code)),
        ("requested_procedure", code_key(part.requested_procedure)),
    )
    return tuple(Wording(field, key) for field, key in rows if key)


def wordings(part: Part) -> tuple[Wording, ...]:
    """Texts about the whole exam: code meanings, descriptions."""
    rows = (
        ("procedure_code", _meaning(part.procedure_code)),
        ("requested_procedure", _meaning(part.requested_procedure)),
        ("study_description", part.study_description),
        ("performed_procedure_step_description", part.performed_procedure_step_description),
        ("nm_procedure", _meaning(part.nm_procedure)),
    )
    return tuple(dict.fromkeys(Wording(field, text) for field, text in rows if text))


def _meaning(code: Code | None) -> str | None:
    return code.meaning if code else None


def protocols(part: Part) -> tuple[str, ...]:
    """Names of the protocols that made diagnostic images, each once."""
    if part.modality is not Modality.CT or not part.events:
        return part.protocol_names
    names = (e.acquisition_protocol for e in diagnostic_events(part))
    return tuple(dict.fromkeys(n for n in names if n))


def agents(part: Part) -> Iterator[Wording]:
    """Names of the radiopharmaceuticals given."""
    for given in part.administrations:
        if text := _meaning(given.radiopharmaceutical) or given.brand_name:
            yield Wording("radiopharmaceutical", text)
