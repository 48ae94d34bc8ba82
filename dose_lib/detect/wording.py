"""The finding in words: what was seen, the likely causes in order, what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from dose_lib.detect.case import Case, Confidence
from dose_lib.normalise import Audience, diagnostic_events

# One-click answers of the radiographer; the first says the finding is true.
ANSWERS = (
    "wrong protocol chosen",
    "no paediatric protocol on this device",
    "adult protocol chosen on purpose",
    "age or weight is wrong",
    "this is a paediatric protocol",
)


class Wording(NamedTuple):
    """Title, summary and evidence of one finding."""

    title: str
    summary: str
    evidence: Mapping[str, object]


def describe(case: Case, confidence: Confidence) -> Wording:
    """Words and numbers of a case; JSON values only, and no identifiers."""
    what = case.part.procedure_name or f"CT {case.part.body_region or 'exam'}"
    age = age_in_words(case.part.patient.age_y or 0.0)
    title = f"Adult protocol on a child of {age}: {what}"
    causes = _causes(case)
    summary = (
        f"{_seen(case)} Likely cause: {causes[0]}. "
        "What to do: open the protocol on the scanner, check whether a paediatric one was "
        "available and why it was not used, and answer this finding; if the name is right, map "
        "the protocol as paediatric."
    )
    return Wording(title, summary, _evidence(case, confidence, causes))


def age_in_words(age_y: float) -> str:
    """Whole years; months below two years.

    Examples
    --------
    >>> age_in_words(3.7), age_in_words(0.25), age_in_words(1.0)
    ('3 years', '3 months', '12 months')
    """
    months = int(age_y * 12 + 1e-6)
    if months < 24:
        return "1 month" if months == 1 else f"{months} months"
    return f"{int(age_y + 1e-9)} years"


def _seen(case: Case) -> str:
    sentences = []
    if case.audience.audience is Audience.ADULT:
        words = ", ".join(f"'{w}'" for w in case.audience.because)
        sentences.append(f"The protocol calls itself one for adults ({words}).")
    if case.usage.is_adult_protocol:
        u = case.usage
        sentences.append(
            f"On this device {u.n_adults} of {u.n_uses} exams with this protocol were of adults, "
            f"and {u.n_children - u.n_children_same} of {u.n_children} children had another."
        )
    if case.measure is not None:
        m, weight = case.measure, case.size.weight_kg
        guessed = ", weight by age" if case.size.is_from_age else ""
        sentences.append(
            f"CTDIvol was {m.event.ctdi_vol_mgy:.3g} mGy ({m.event.phantom} phantom), "
            f"{_times(m.ratio)} the yardstick for this size "
            f"({m.level.value:g} mGy, {m.level.set_id}, {weight:.3g} kg{guessed})."
        )
    if (here := case.usage.ratio(case.event)) is not None:
        sentences.append(f"That is {_times(here)} what children of this size get here.")
    return " ".join(sentences)


def _times(ratio: float) -> str:
    """A ratio in words: "1 times" and "0.97 times" read like errors."""
    if 0.95 <= ratio < 1.05:
        return "about"
    return f"{ratio:.0%} of" if ratio < 1 else f"{ratio:.2g} times"


def _causes(case: Case) -> list[str]:
    """Causes in order of likelihood (detection.md §2)."""
    has_own = case.usage.n_children - case.usage.n_children_same > 0
    causes = ["the adult protocol was chosen although the patient is a child"]
    missing = "the device has no paediatric protocol for this examination"
    if case.usage.n_children and not has_own:
        causes.insert(0, missing)
    else:
        causes.append(missing)
    if not case.is_named_adult:
        causes.append("a paediatric protocol holds an adult's parameters")
    causes.append("age or weight of the patient is wrong")
    return causes


def _evidence(case: Case, confidence: Confidence, causes: list[str]) -> dict[str, object]:
    m, u, event = case.measure, case.usage, case.event
    by_name = case.audience.audience is Audience.ADULT
    protocols = dict.fromkeys(
        e.acquisition_protocol for e in diagnostic_events(case.part) if e.acquisition_protocol
    )
    return {
        "confidence": confidence.value,
        "age_y": case.part.patient.age_y,
        "weight_kg": case.part.patient.weight_kg,
        "weight_by_age_kg": round(case.size.weight_kg, 1) if case.size.is_from_age else None,
        "body_region": case.part.body_region,
        "protocol_names": list(protocols),
        "study_description": case.part.study_description,
        "adult_by": "name" if by_name else "use" if u.is_adult_protocol else "dose",
        "adult_words": list(case.audience.because),
        "ctdi_vol_mgy": event.ctdi_vol_mgy,
        "phantom": event.phantom and event.phantom.value,
        "kvp_kv": event.kvp_kv,
        "yardstick_mgy": m and m.level.value,
        "yardstick": m and m.level.in_words(),
        "yardstick_is_signed_off": m and (m.level.sign_off_reason is None),
        "yardstick_ratio": m and round(m.ratio, 3),
        "device_children_median_mgy": u.child_median_mgy,
        "device_children_n": u.n_child_doses,
        "device_children_ratio": u.ratio(event),
        "protocol_uses": u.n_uses,
        "protocol_uses_on_adults": u.n_adults,
        "causes": causes,
        "answers": list(ANSWERS),
    }
