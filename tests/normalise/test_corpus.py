"""Names of real reports: what they are called, and what stays unnamed."""

from __future__ import annotations

from pathlib import Path

import pytest

from dose_lib import read_file
from dose_lib.normalise import SiteFacts, normalise_part

pytestmark = pytest.mark.corpus

NAMES = {
    "CT-ESR-GE_Optima.dcm": ("CT Colonography", "abdomen-pelvis"),
    "CT-RDSR-Siemens-Multi-3.dcm": ("CT Radiotherapy Planning", "chest"),
    "CT-RDSR-Siemens_Flash-TAP-SS.dcm": ("CT Chest Abdomen Pelvis", "chest-abdomen-pelvis"),
    "CT-RDSR-ToshibaPixelMed.dcm": (None, "chest-abdomen-pelvis"),
    # "Abdomen Routine ZC (NR)": two words nobody knows, and nothing confirms it: it waits.
    "CT-RDSR-Toshiba_DoseCheck.dcm": (None, "abdomen"),
    "CT-SC-Philips_Brilliance16P.dcm": ("CT Chest Abdomen Pelvis", "chest-abdomen-pelvis"),
    "DX-RDSR-Canon_CXDI.dcm": ("Chest AP", "chest"),
    "NM-NmIm-Siemens.dcm": ("Bone Scan", "whole-body"),
    "RF-RDSR-Siemens-Zee.dcm": (None, "whole-body"),
}


@pytest.mark.parametrize(("file", "expected"), NAMES.items())
def test_real_names(corpus: Path, file: str, expected: tuple[str | None, str]) -> None:
    parts, identity = read_file(corpus / file)
    done = normalise_part(parts[0], SiteFacts(timezone="Europe/London"), identity)
    assert (done.procedure_name, done.body_region) == expected
    assert done.is_patient


@pytest.mark.parametrize("file", ["CT-RDSR-GEPixelMed.dcm", "Dual-RDSR-DX.dcm"])
def test_real_quality_control(corpus: Path, file: str) -> None:
    parts, identity = read_file(corpus / file)
    done = normalise_part(parts[0], SiteFacts(), identity)
    assert done.is_patient is False
    assert done.not_patient_reason
