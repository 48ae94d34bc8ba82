"""Which exams are no patients: quality control, phantoms, tests."""

from __future__ import annotations

import re

from dose_lib import codes
from dose_lib.normalise.lexicon import read_text
from dose_lib.normalise.site import SiteFacts
from dose_lib.records import Code, Identity, Part

_QUALITY_CONTROL = "DCM:113680"  # Has Intent: quality control intent (CID 3629)
_PHANTOM_REGION = ("SCT:706342009", "SRT:R-FE0C7")  # target region "Phantom" (CID 4030)
# Names and IDs people give phantoms; matched against the whole name or ID, never logged.
_NAME = re.compile(
    r"^(?:(?:q\W?[ac]|quality|phantom|fantom[ae]?|catphan|water|ctdi|acr|konstanz|pruefung|"
    r"prüfung|calibration|service|physics|physik|warm\W?up|dummy)\b.*"
    r"|.*\b(?:phantom|fantom[ae]?|catphan|qa|qc|konstanz|pruefkoerper|prüfkörper|warm\W?up)"
    r"|test(?:\W*(?:test|patient|patientin|scan|study|bild|image|\d+))*)$",
    re.IGNORECASE,
)


def not_patient_reason(part: Part, site: SiteFacts, identity: Identity | None = None) -> str | None:
    """Rule that says this exam is no patient; None for a patient.

    Parameters
    ----------
    part
        The part as read.
    site
        The site's own patterns of names and IDs.
    identity
        Identity of the exam where it is at hand; only the verdict leaves this function.

    Returns
    -------
    str or None
        Name of the rule: ``intent``, ``target_region``, ``study_description``, ``protocol``,
        ``identity`` or ``site_pattern``. Such exams stay stored and leave all statistics.
    """
    if part.intent and codes.fold(part.intent.value, part.intent.scheme) == _QUALITY_CONTROL:
        return "intent"
    if any(_is_phantom(getattr(e, "target_region", None)) for e in part.events):
        return "target_region"
    if part.study_description and _is_quality_control(part.study_description):
        return "study_description"
    if _by_protocol(part):
        return "protocol"
    return _by_identity(identity, site) if identity else None


def _is_phantom(code: Code | None) -> bool:
    return code is not None and codes.fold(code.value, code.scheme) in _PHANTOM_REGION


def _is_quality_control(text: str) -> bool:
    return read_text(text).has("not_patient", "quality_control")


def _by_protocol(part: Part) -> bool:
    """True if every protocol that is no localiser and no bolus tracking is one of quality control.

    One quality-control name among clinical ones is a patient scanned with a copied protocol.
    """
    names = [n for n in part.protocol_names if not read_text(n).of_kind("helper_event")]
    return bool(names) and all(_is_quality_control(n) for n in names)


def _by_identity(identity: Identity, site: SiteFacts) -> str | None:
    name = " ".join((identity.patient_name or "").replace("^", " ").split())
    patient_id = (identity.patient_id or "").strip()
    for pattern in site.not_patient_patterns:
        if pattern.search(name) or pattern.search(patient_id):
            return "site_pattern"
    return "identity" if _NAME.match(name) or _NAME.match(patient_id) else None
