"""One key for a concept, whatever scheme it was sent in.

The standard moved from SNOMED-RT (`SRT`, in files also `SNM3`, `99SDM`) to SNOMED CT
(`SCT`); devices send either, and mix them in one file. `srt_sct.csv` beside this module
pairs the codes of the context groups that dose templates use.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from dose_lib.codes import ct, estimate, nuclear, projection, report, values
from dose_lib.codes.concept import Concept

# Spellings of a scheme that arrive (reference: dicom_dose §3, rows 4 and 5).
_SCHEMES = {
    "SNM3": "SRT",
    "99SDM": "SRT",
    "SNOMED-RT": "SRT",
    "SNOMED-CT": "SCT",
    "SNOMEDCT": "SCT",
    "UCM": "UCUM",
    "LOINC": "LN",
    "DICOM": "DCM",
    "DCMR": "DCM",
    "SNM": "SRT",
    "SNOMED": "SCT",
    # Registered UIDs of the schemes (PS3.16 table 8-1), where one is sent for the designator.
    "1.2.840.10008.2.16.4": "DCM",
    "1.2.840.10008.6.1.1": "SRT",
    "2.16.840.1.113883.6.96": "SCT",
    "2.16.840.1.113883.6.1": "LN",
    "2.16.840.1.113883.6.8": "UCUM",
    "2.16.840.1.113883.6.86": "UMLS",
}
# "X or X compound" of the older CID 10006 and 10016 (all real reports with filters send these);
# SNOMED CT has classes of their own for them, which is no difference for a filter or anode.
_COMPOUNDS = {
    "C-120F9": "12503006",  # aluminium
    "C-127F9": "66925006",  # copper
    "C-137F9": "41967008",  # silver
    "C-150F9": "71128006",  # molybdenum
    "C-164F9": "26194003",  # tungsten
    "C-167F9": "59801003",  # rhodium
}
# Region and agent codes whose SNOMED-RT code devices still send, but which the current
# context groups name otherwise (CID 4030, 4031 and TID 10022).
_RENAMED_SRT = {
    "T-D3000": "816094009",  # chest
    "T-D4000": "818981001",  # abdomen
    "T-D6000": "816092008",  # pelvis
    "R-FAB57": "818982008",  # abdomen and pelvis
    "F-61FDB": "349358000",  # radiopharmaceutical agent
    "R-002E9": "1279505009",  # combined diagnostic and therapeutic intent
}
# SNOMED CT codes that the standard used before, for the same places.
_RENAMED_SCT = {
    "51185008": "816094009",
    "113345001": "818981001",
    "12921003": "816092008",
    "416949008": "818982008",
}
# UMLS codes seen in dose reports in place of SNOMED (vendor_deviations §3.2, "coding change").
_UMLS = {
    "C0860888": "116152004",  # spiral acquisition
    "C0222600": "73056007",  # right breast
    "C0222601": "80248007",  # left breast
}


_NUMERIC = frozenset(("SRT", "SCT", "DCM"))


@cache
def _sct_of() -> dict[str, str]:
    text = files("dose_lib.codes").joinpath("srt_sct.csv").read_text(encoding="ascii")
    pairs = (line.split(",") for line in text.splitlines()[1:])
    return dict(pairs) | _RENAMED_SRT | _COMPOUNDS


@cache
def _by_value() -> dict[str, str]:
    """Codes sent without a scheme: those that only one concept of ours can be."""
    found: dict[str, set[str]] = {}
    groups = (ct, estimate, nuclear, projection, report, values)
    for concept in (one for group in groups for one in vars(group).values()):
        # Short ones could be anybody's: M, 001, C-200.
        if isinstance(concept, Concept) and len(concept.value) >= 6:
            found.setdefault(concept.value, set()).add(concept.key)
    for srt, sct in _sct_of().items():
        found.setdefault(srt, set()).add(f"SCT:{sct}")
    return {value: keys.pop() for value, keys in found.items() if len(keys) == 1}


@cache
def _dcm() -> frozenset[str]:
    groups = (ct, estimate, nuclear, projection, report, values)
    found = (one for group in groups for one in vars(group).values())
    return frozenset(one.key for one in found if isinstance(one, Concept) and one.scheme == "DCM")


@cache
def _srt_of() -> dict[str, str]:
    return {sct: srt for srt, sct in _sct_of().items()}  # compounds last: what devices send


def fold(value: str | None, scheme: str | None) -> str:
    """Key of a code as sent, the same for all its aliases.

    Parameters
    ----------
    value
        Code value; None or empty gives the empty key.
    scheme
        Coding scheme designator, in any of the spellings that arrive.

    Returns
    -------
    str
        ``SCHEME:value``, comparable with `Concept.key`; ``""`` without a value.
    """
    value = (value or "").strip()
    if not value:
        return ""
    name = (scheme or "").strip().upper()
    name = _SCHEMES.get(name, name)
    if not name:
        return _by_value().get(value.upper(), f":{value}")
    if name == "SRT" and value.isdigit():
        # Codes of SNOMED-RT have letters: this one is of another scheme.
        name = "DCM" if len(value) == 6 and f"DCM:{value}" in _dcm() else "SCT"
    # Codes of DICOM and SNOMED CT are numbers: those with letters are of SNOMED-RT.
    if name in _NUMERIC and (sct := _sct_of().get(value.upper())):
        return f"SCT:{sct}"
    if name == "SCT" and (now := _RENAMED_SCT.get(value)):
        return f"SCT:{now}"
    if name == "UMLS" and (sct := _UMLS.get(value)):
        return f"SCT:{sct}"
    return f"{name}:{value}"


def to_srt(concept: Concept) -> Concept:
    """The SNOMED-RT form of a SNOMED CT concept, as older devices send it; else itself."""
    srt = _srt_of().get(concept.value) if concept.scheme == "SCT" else None
    return Concept(srt, "SRT", concept.meaning) if srt else concept
