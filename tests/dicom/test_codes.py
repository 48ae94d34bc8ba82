"""Codes against an independent copy of the standard's dictionary, and their folding."""

from __future__ import annotations

import pytest
from pydicom.sr._concepts_dict import concepts
from pydicom.sr._snomed_dict import mapping

from dose_lib import codes as c
from dose_lib.codes.concept import Concept
from dose_lib.codes.folding import _COMPOUNDS, _RENAMED_SRT, _sct_of

CONSTANTS = {name: value for name, value in vars(c).items() if isinstance(value, Concept)}
KNOWN = {
    (scheme, value): meaning
    for scheme, names in concepts.items()
    for versions in names.values()
    for value, (meaning, _) in versions.items()
}
# pydicom's dictionary holds no LOINC code but 8277-6; these rows are from PS3.16 TID 10024.
NOT_IN_PYDICOM = {"8302-2", "29463-7", "8278-4", "14749-6", "2160-0"}


def test_every_constant_is_a_code_of_the_standard() -> None:
    public = [k for k in CONSTANTS.values() if not k.scheme.startswith("99")]
    unknown = [k for k in public if (k.scheme, k.value) not in KNOWN]
    assert {k.value for k in unknown} == NOT_IN_PYDICOM
    assert len(public) > 400


def test_no_code_has_two_names() -> None:
    keys = [k.key for k in CONSTANTS.values()]
    assert len(keys) == len(set(keys))


def test_srt_pairs_are_those_of_the_standard() -> None:
    own = {**_COMPOUNDS, **_RENAMED_SRT}
    ours = {srt: sct for srt, sct in _sct_of().items() if srt not in own}
    assert {srt: mapping["SRT"][srt] for srt in ours} == ours


@pytest.mark.parametrize(
    ("value", "scheme", "concept"),
    [
        ("113830", "DCM", c.MEAN_CTDI_VOL),
        (" 113830 ", "dcm", c.MEAN_CTDI_VOL),
        ("P5-08001", "SRT", c.SPIRAL_ACQUISITION),
        ("P5-08001", "SNM3", c.SPIRAL_ACQUISITION),
        ("P5-08001", "99SDM", c.SPIRAL_ACQUISITION),
        ("116152004", "SCT", c.SPIRAL_ACQUISITION),
        ("C0860888", "UMLS", c.SPIRAL_ACQUISITION),
        ("T-04020", "SNM3", c.RIGHT_BREAST),
        ("C0222600", "UMLS", c.RIGHT_BREAST),
        ("C-127F9", "SRT", c.COPPER),
        ("C-12700", "SRT", c.COPPER),
        ("8302-2", "LOINC", c.PATIENT_HEIGHT),
        ("F-61FDB", "SRT", c.RADIOPHARMACEUTICAL_AGENT),
    ],
)
def test_aliases_fold_to_one_key(value: str, scheme: str, concept: Concept) -> None:
    assert c.fold(value, scheme) == concept.key


def test_codes_of_one_region_fold_to_the_current_one() -> None:
    chest = [("T-D3000", "SRT"), ("51185008", "SCT"), ("816094009", "SCT")]
    assert {c.fold(*code) for code in chest} == {"SCT:816094009"}


def test_unknown_codes_keep_their_scheme() -> None:
    assert c.fold("00001", "99GEMS") == "99GEMS:00001"
    assert c.fold("113830", None) == "DCM:113830"
    assert c.fold("", "DCM") == c.fold(None, None) == ""


def test_private_code_is_not_a_standard_code() -> None:
    assert c.fold("001", "99PHI-IXR-XPER") != c.fold("001", "DCM")


def test_to_srt_is_what_older_devices_send() -> None:
    assert c.to_srt(c.SPIRAL_ACQUISITION)[:2] == ("P5-08001", "SRT")
    assert c.to_srt(c.COPPER)[:2] == ("C-127F9", "SRT")
    assert c.to_srt(c.KVP) is c.KVP
    assert all(c.fold(*c.to_srt(k)[:2]) == k.key for k in CONSTANTS.values())
