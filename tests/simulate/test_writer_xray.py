"""Projection and nuclear dose reports: readable by others, the standard kept where claimed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from dose_lib.errors import UsageError
from dose_lib.records import Plane
from dose_lib.simulate.writer import find_dialect, make_part, make_rdsr, transcode
from dose_lib.simulate.writer.samples import KINDS
from tests.conftest import require
from tests.simulate.test_writer_ct import items, read, unit, value

WRITTEN = {
    "fluoroscopy": (
        "clean",
        "clean-de",
        "siemens-artis",
        "philips-allura",
        "philips-azurion",
        "ge-oec",
        "canon-ultimax",
    ),
    "biplane": ("clean", "siemens-artis"),
    "pulsed": ("clean", "eurocolumbus"),
    "radiography": ("clean", "canon-cxdi", "carestream", "siemens-fluorospot"),
    "mammography": ("clean", "hologic", "ge-mammo", "giotto"),
    "cone-beam": ("clean", "siemens-artis"),
    "radiopharmaceutical": ("clean", "siemens-pet"),
}
EVERY = [(kind, vendor) for kind, vendors in WRITTEN.items() for vendor in vendors]


def write(kind: str, vendor: str, n: int = 3, **overrides: object) -> bytes:
    count = 1 if kind == "radiopharmaceutical" else n
    return make_rdsr(kind, count, vendor, **overrides)


def run(program: str, file: Path, *options: str) -> tuple[int, str]:
    done = subprocess.run([require(program), *options, str(file)], capture_output=True, check=False)
    return done.returncode, (done.stdout + done.stderr).decode("latin-1")


@pytest.mark.parametrize(("kind", "vendor"), EVERY)
def test_dsrdump_accepts(kind: str, vendor: str, tmp_path: Path) -> None:
    """Several values in one item (Eurocolumbus) are wrong in the real files too."""
    file = tmp_path / "report.dcm"
    file.write_bytes(write(kind, vendor))
    lenient = ["-Ee"] if find_dialect(vendor).pulses == "one item" else []
    code, text = run("dsrdump", file, *lenient)
    assert code == 0, text
    assert "E: " not in text or lenient


@pytest.mark.parametrize(("kind", "vendor"), EVERY)
def test_no_error_for_dciodvfy(kind: str, vendor: str, tmp_path: Path) -> None:
    """The dialects deviate from the templates, not from the information object."""
    file = tmp_path / "report.dcm"
    file.write_bytes(write(kind, vendor))
    _, text = run("dciodvfy", file)
    assert "RadiationDoseSR" in text
    assert not [line for line in text.splitlines() if line.startswith("Error")]


def test_units_of_makers() -> None:
    """The same 12.66 Gy·cm² in three spellings and two magnitudes."""
    dap = {"clean": "Gy.m2", "siemens-artis": "Gym2", "canon-ultimax": "dGy.cm2"}
    kerma = {"clean": ("Gy", 0.03), "siemens-artis": ("Gy", 0.03), "canon-ultimax": ("mGy", 30.0)}
    for vendor, spelt in dap.items():
        report = read(make_rdsr("fluoroscopy", 2, vendor, kap_gy_cm2=12.66, ka_r_mgy=30.0))
        total = items(report, "113722")[0]
        factor = {"Gy.m2": 1e4, "Gym2": 1e4, "dGy.cm2": 0.1}[spelt]
        assert unit(total) == spelt
        assert value(total) * factor == pytest.approx(12.66, rel=1e-12)
        assert (unit(items(report, "113725")[0]), value(items(report, "113725")[0])) == kerma[
            vendor
        ]


def test_habits_of_makers() -> None:
    oec = read(make_rdsr("fluoroscopy", 2, "ge-oec", primary_angle_deg=None))
    assert items(oec, "121012")[0].ValueType == "TEXT"
    angle = items(oec, "112011")[0]
    assert len(angle.MeasuredValueSequence) == 0
    assert angle.NumericValueQualifierCodeSequence[0].CodeValue == "114010"
    scheme = items(oec, "122130")[0].MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0]
    assert scheme.CodingSchemeDesignator == "UCM"

    hologic = read(make_rdsr("mammography", 4, "hologic"))
    assert items(hologic, "113745")
    assert not items(hologic, "113945")
    assert items(hologic, "111031")[0].ConceptCodeSequence[0].CodingSchemeDesignator == "SNM3"
    assert [value(i) for i in items(hologic, "111637")] == [2.62, 2.64]

    assert items(read(make_rdsr("mammography", 4, "giotto")), "113632")
    assert items(read(make_rdsr("fluoroscopy", 2, "siemens-artis")), "113735")
    assert (
        "iiDiameter"
        in items(read(make_rdsr("fluoroscopy", 1, "siemens-artis")), "121106")[0].TextValue
    )
    cxdi = read(make_rdsr("radiography", 1, "canon-cxdi", event0_ka_r_mgy=None))
    assert len(items(cxdi, "113738")[0].MeasuredValueSequence) == 0
    manual = items(read(make_rdsr("radiography", 1, "carestream")), "113854")[0]
    assert manual.ConceptCodeSequence[0].CodeValue == "113857"


def test_pulses_as_items_or_in_one() -> None:
    clean = read(make_rdsr("pulsed", 1))
    assert [value(i) for i in items(clean, "113733")] == [0, 70, 71, 72, 73, 74]
    packed = items(read(make_rdsr("pulsed", 1, "eurocolumbus")), "113733")
    assert len(packed) == 1
    assert len(packed[0].MeasuredValueSequence[0].NumericValue) == 6


def test_a_biplane_procedure_has_two_planes_of_events_and_totals() -> None:
    part, _ = make_part("biplane", 2)
    report = read(make_rdsr("biplane", 2))
    assert [p.plane for p in part.totals.planes] == [Plane.A, Plane.B]
    assert len(items(report, "113702")) == 2
    planes = [i.ConceptCodeSequence[0].CodeValue for i in items(report, "113764")]
    assert planes == ["113620", "113621"] * 3


def test_german_words_under_the_same_codes() -> None:
    german = read(make_rdsr("mammography", 2, "clean-de"))
    concept = items(german, "111637")[0].ConceptNameCodeSequence[0]
    assert concept.CodeMeaning == "Summierte mittlere Parenchymdosis"


@pytest.mark.parametrize("encoding", ["implicit", "big endian", "deflated", "undefined lengths"])
def test_other_transfer_syntaxes_have_the_same_content(encoding: str) -> None:
    plain = make_rdsr("mammography", 2, "giotto")
    other = transcode(plain, encoding)  # type: ignore[arg-type]
    assert other != plain
    assert read(other).to_json() == read(plain).to_json()


def test_unknown_kind_says_what_there_is() -> None:
    with pytest.raises(UsageError, match="did you mean 'mammography'"):
        make_rdsr("mamography")
    assert set(WRITTEN) == set(KINDS)
