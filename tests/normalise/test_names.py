"""Names as hospitals write them become one procedure, or none; never a wrong one."""

from __future__ import annotations

import pytest

from dose_lib.errors import UsageError
from dose_lib.normalise import catalogue, find_procedure, match_text, protocol_class
from dose_lib.normalise.lexicon import Family, lexicon, read_text
from dose_lib.normalise.regions import body_regions, code_values_of, combine, region_codes
from dose_lib.normalise.text import cut_words
from dose_lib.records import Modality

CT = {
    "CT Thorax abdomen and pelvis with contrast": "CT Chest Abdomen Pelvis",
    "Thorax^TAP (Adult)": "CT Chest Abdomen Pelvis",
    "CHEST/ABD/PEL": "CT Chest Abdomen Pelvis",
    "Thorax-Abdomen-Becken mit KM": "CT Chest Abdomen Pelvis",
    "TDM thoraco-abdomino-pelvienne avec injection": "CT Chest Abdomen Pelvis",
    "TC torace addome completo con mdc": "CT Chest Abdomen Pelvis",
    "CT neck/chest/abdo/pelvis": "CT Neck Chest Abdomen Pelvis",
    "Thx/Abd": "CT Chest Abdomen",
    "5.1 ROUTINE CHEST": "CT Chest",
    "ThoraxRoutine": "CT Chest",
    "CT thorax blanco": "CT Chest",
    "CHU THORAX LOW DOSE": "CT Chest Low Dose",
    "HRCT Thorax": "CT Chest High Resolution",
    "Low Dose CT Lung Screening": "CT Lung Screening",
    "CTPA": "CTPA",
    "PE rule out": "CTPA",
    "Acute abdomen": "CT Abdomen",
    "Thorax^LungEmbolism (Adult)": "CTPA",
    "Angio^DE_PE_CTPA (Adult)": "CTPA",
    "Lungenarterienembolie": "CTPA",
    "Angio-TC arterie polmonari": "CTPA",
    "CT Pulmonary Angiogram": "CTPA",
    "CT BRAIN W/O CONTRAST": "CT Head",
    "Head^HeadRoutineChild (Child)": "CT Head",
    "Schädel nativ": "CT Head",
    "Scanner cérébral sans injection": "CT Head",
    "TAC de cráneo sin contraste": "CT Head",
    "TK głowy bez kontrastu": "CT Head",
    "11.2 Ped Head 0-18 mo": "CT Head",
    "Head Perfusion": "CT Head Perfusion",
    "Head^Sinus (Adult)": "CT Sinuses",
    "NNH": "CT Sinuses",
    "CT IAMs": "CT Petrous Bones",
    "CTA Head and Neck": "CTA Head Neck",
    "C-spine": "CT Cervical Spine",
    "HWS nativ": "CT Cervical Spine",
    "CT Thoracic spine": "CT Thoracic Spine",
    "Rachis lombaire": "CT Lumbar Spine",
    "CT Abdomen/Pelvis W Contrast": "CT Abdomen Pelvis",
    "CT ABD & PELVIS W/WO": "CT Abdomen Pelvis",
    "CT Abdomne Pelvis": "CT Abdomen Pelvis",
    "Abdomen Routine ZC (NR)": "CT Abdomen",
    "Abdomen/IH_KUB_2mm": "CT KUB",
    "SUSPECTED RENAL COLIC": "CT KUB",
    "CT Urogram": "CT Urogram",
    "VIRTUAL COLONOSCOPY": "CT Colonography",
    "CT Liver triple phase": "CT Liver Multiphase",
    "Coronary^CaScoreSeq (Adult)": "CT Calcium Score",
    "CT Coronary angiogram": "CTA Coronary",
    "Polytrauma": "CT Whole Body Trauma",
    "Trauma CT head and c-spine": "CT Head Cervical Spine",
    "Thorax^RTP_4DCT_Thorax_C (Adult)": "CT Radiotherapy Planning",
    "CT guided biopsy lung": "CT Guided Intervention",
}
UNCLEAR = [
    "",
    "CT",
    "CT Scan",
    "Unknown",
    "testÃ¦Ã¸Ã¥",
    "CT Sinuses and Head",  # two scans
    "CT skull base to mid thigh",
    "CT Pelvimetry",  # named, but not a pelvis CT
    "Topogram",
    "10mm standard",
    "Thorax Okapi",  # one word of two may be the one that matters
    "Zebra quagga okapi head gnu kudu",  # mostly not understood
    "CT head and abdomen",
    "Cervical",  # neck or spine
]


@pytest.mark.parametrize(("text", "name"), CT.items())
def test_ct_names(text: str, name: str) -> None:
    match = match_text(text, Modality.CT)
    assert match is not None
    assert match.procedure.name == name


@pytest.mark.parametrize("text", UNCLEAR)
def test_what_is_unclear_gets_no_name(text: str) -> None:
    assert match_text(text, Modality.CT) is None


@pytest.mark.parametrize(
    ("text", "modality", "name"),
    [
        ("XR Chest PA", Modality.DX, "Chest PA"),
        ("Chest PA and lateral", Modality.DX, "Chest PA and LAT"),
        ("XR Chest 2 views", Modality.DX, "Chest PA and LAT"),
        ("XR Lumbar spine", Modality.DX, "Lumbar Spine"),
        ("Coronary angiogram LHC", Modality.XA, "Coronary Angiography"),
        ("PTCA + stent", Modality.XA, "PCI"),
        ("Hepatic chemoembolisation", Modality.XA, "TACE"),
        ("Modified barium swallow", Modality.RF, "Barium Swallow"),
        ("Mammography screening bilateral", Modality.MG, "Screening Mammogram"),
        ("Bone scan", Modality.NM, "Bone Scan"),
    ],
)
def test_names_of_other_modalities(text: str, modality: Modality, name: str) -> None:
    match = match_text(text, modality)
    assert match is not None
    assert match.procedure.name == name
    assert match_text(text, Modality.IO) is None


def test_words_that_explain_a_name_are_given() -> None:
    match = match_text("CT Abdomne Pelvis Smithscan", Modality.CT)
    assert match is not None
    assert match.is_mended
    assert match.unknown == ("smithscan",)
    assert "pelvis" in match.because


@pytest.mark.parametrize(
    ("names", "audience"),
    [
        (["Head^HeadRoutineChild (Child)"], "paediatric"),
        (["Topogram", "Thorax 5-10y"], "paediatric"),
        (["ABDOMEN <15 kg"], "paediatric"),
        (["Säugling Schädel"], "paediatric"),
        (["Tête enfant"], "paediatric"),
        (["Thorax^01_ThoraxRoutine (Adult)"], "adult"),
        (["Thorax^TAP (Adult)", "Thorax infant"], "paediatric"),
        (["Abdomen Erwachsene"], "adult"),
        (["ThoraxRoutine"], None),
        (["Adult/Child"], None),
        (["Chest 70 kg"], None),
        (["CT Chest 5mm"], None),
        ([None], None),
        ([], None),
    ],
)
def test_protocol_class(names: list[str | None], audience: str | None) -> None:
    assert protocol_class(names).audience == audience


def test_the_catalogue_uses_known_words_and_regions() -> None:
    regions = {p.region for p in catalogue().values()} - {None}
    assert regions <= set(body_regions())
    assert all(p.when for p in catalogue().values())
    for modality in Modality:
        rules = [w for p in catalogue().values() if modality in p.modalities for w in p.when]
        assert len(rules) == len(set(rules)), f"two procedures of {modality} claim the same words"


@pytest.mark.parametrize("family", Family)
def test_each_phrase_of_the_lexicon_reads_as_itself(family: Family) -> None:
    """No phrase is hidden by a shorter one or by the cutting of words."""
    for phrase, sense in lexicon(family).items():
        assert sense in {f.sense for f in read_text(" ".join(phrase), family).found}, phrase


def test_an_unknown_procedure_gets_a_hint() -> None:
    with pytest.raises(UsageError, match="CT Chest"):
        find_procedure("CT Chset")


@pytest.mark.parametrize(
    ("regions", "combined"),
    [
        (["chest"], "chest"),
        (["chest", "abdomen"], "chest-abdomen"),
        (["chest", "abdomen", "pelvis"], "chest-abdomen-pelvis"),
        (["chest", "pelvis", "abdomen-pelvis"], "chest-abdomen-pelvis"),
        (["heart", "chest"], "chest"),
        (["heart"], "heart"),
        (["head", "chest", "abdomen", "pelvis"], "whole-body"),
        (["head", "abdomen"], None),
        ([], None),
    ],
)
def test_regions_combine(regions: list[str], combined: str | None) -> None:
    assert combine(regions) == combined


def test_codes_of_both_schemes_name_regions() -> None:
    assert region_codes()["SCT:69536005"] == "head"
    assert region_codes()["SRT:T-D3000"] == "chest"
    assert {"T-D4000", "113345001", "T-D3000"} <= set(code_values_of("chest-abdomen-pelvis"))
    assert "69536005" not in code_values_of("chest")


def test_contrast_signs_become_words() -> None:
    assert cut_words("ABD W/O") == ("abd", "without")
    assert cut_words("ABD C+") == ("abd", "with", "contrast")
    assert cut_words("ABD W/WO") == ("abd", "with", "and", "without")
