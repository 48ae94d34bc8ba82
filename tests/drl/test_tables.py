"""The built tables say what the sources say, line by line, and nothing else."""

from __future__ import annotations

import csv
import importlib.util
import math
import shutil
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

from dose_lib.errors import LevelError

ROOT = Path(__file__).parents[2]
DRL = ROOT / "drl"


@pytest.fixture(scope="module")
def build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("drl_build", DRL / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["drl_build"] = module
    spec.loader.exec_module(module)
    return module


def read(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def test_rebuilding_changes_no_line(build: ModuleType) -> None:
    built = build.build()
    assert set(built) == {f.name for f in (DRL / "tables").iterdir()}
    for name, text in built.items():
        lines = (DRL / "tables" / name).read_text(encoding="utf-8").splitlines()
        for number, (ours, theirs) in enumerate(zip(text.splitlines(), lines, strict=True), 1):
            assert ours == theirs, f"{name}, line {number}"


def test_each_line_of_each_source_is_one_level() -> None:
    levels = read(DRL / "tables" / "levels.csv")
    seen = Counter((r["source"], r["source_line"]) for r in levels)
    assert max(seen.values()) == 1
    for folder in (DRL / "sources").iterdir():
        if folder.name.startswith("aux_"):
            continue
        lines = read(folder / "as_transcribed.csv")
        assert sum(1 for s, _ in seen if s == folder.name) == len(lines), folder.name


# Units of the sources in ours, written out here a second time on purpose.
SCALE = {
    ("mGy", "mGy"): 1, ("mGy.cm", "mGy.cm"): 1, ("Gy.cm2", "Gy.cm2"): 1,
    ("cGy.cm2", "Gy.cm2"): 0.01, ("mGy.cm2", "Gy.cm2"): 0.001, ("MBq", "MBq"): 1,
    ("MBq/kg", "MBq/kg"): 1, ("min", "s"): 60, ("s", "s"): 1, ("times", "times"): 1,
}  # fmt: skip


def test_values_are_those_of_the_sources_in_our_units() -> None:
    levels = {(r["source"], r["source_line"]): r for r in read(DRL / "tables" / "levels.csv")}
    for folder in (DRL / "sources").iterdir():
        if folder.name.startswith("aux_"):
            continue
        for number, told in enumerate(read(folder / "as_transcribed.csv"), start=2):
            level = levels[folder.name, str(number)]
            scale = SCALE[told["unit"], level["unit"]]
            assert math.isclose(float(level["value"]), float(told["value"]) * scale, rel_tol=1e-12)
            assert level["source_procedure"] == told["procedure"]
            assert level["confidence"] == told["confidence"]
            assert level["phantom"] == told["phantom"]
            assert level["population"] == told["population"]
            months = 12 if told["size_unit"] == "month" else 1
            for end in ("size_min", "size_max"):
                assert bool(level[end]) == bool(told[end])
                if told[end]:
                    # Classes of whole millimetres hold both their ends, our bands not the upper.
                    whole = end == "size_max" and level["set_id"] == "UG-2023"
                    size = float(told[end]) / months + whole
                    assert math.isclose(float(level[end]), size, rel_tol=1e-11)


def test_rows_have_stable_ids_of_their_own() -> None:
    ids = [r["row_id"] for r in read(DRL / "tables" / "levels.csv")]
    assert len(ids) == len(set(ids))
    assert "GB-UKHSA-NDRL/chest-ct-all-sequences/lung-cancer/adult/dlp/p75/exam" in ids
    assert "EU-RP185-2018/thorax-ct/paediatric/15-30kg/ctdi_vol/median_of_national/scan" in ids


def test_phantoms_that_were_not_in_the_source_are_marked() -> None:
    levels = read(DRL / "tables" / "levels.csv")
    basis = {r["set_id"]: {x["phantom_basis"] for x in levels if x["set_id"] == r["set_id"]}
             for r in levels}  # fmt: skip
    assert basis["GB-UKHSA-NDRL"] == {"convention", ""}
    assert basis["EU-RP185-2018"] == {"memory"}
    assert basis["US-ACR-DIR-PED-2022"] == {""}
    assert "source" in basis["AU-ARPANSA-2012"]
    assert basis["JP-DRLs-2025"] <= {"convention", ""}
    assert all(bool(r["phantom"]) == bool(r["phantom_basis"]) for r in levels)


def test_nothing_but_reference_levels_is_called_national() -> None:
    levels = read(DRL / "tables" / "levels.csv")
    of_kind = {k: {r["set_id"] for r in levels if r["kind"] == k} for k in
               ("trigger", "quality_control", "national", "european")}  # fmt: skip
    assert of_kind["trigger"] == {
        "AAPM-DOSECHECK-2011", "AAPM-MPPG12a-2022", "DOSELOOP-MULTIPLES", "SIR-NCRP168",
    }  # fmt: skip
    assert of_kind["quality_control"] == {"EU-EUREF-4th"}
    assert "US-UCSF-REGISTRY-2022" not in of_kind["national"]
    assert of_kind["european"] == {"EU-RP185-2018", "EU-EUCLID-RP195-2021", "EU-IC-2018"}


def test_the_ssde_factors_follow_the_published_fit() -> None:
    """AAPM 204: f = a exp(-b D); both fits within 0.005 of tables 1D and 2D."""
    fit = {"32cm": (3.704369, 0.03671937), "16cm": (1.874799, 0.03871313)}
    rows = [r for r in read(DRL / "tables" / "ssde_aapm204.csv") if "D effective" in r["table"]]
    assert len(rows) == 88
    for row in rows:
        a, b = fit[row["phantom"]]
        diameter = float(row["effective_diameter_cm"])
        assert abs(a * math.exp(-b * diameter) - float(row["factor"])) <= 0.005 + 1e-9


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (",16cm,CTDIvol,p75,47,", ",16cm,CTDIvol,p75,4.7.1,", "line 2, column value: '4.7.1'"),
        (",16cm,CTDIvol,p75,47,", ',16cm,CTDIvol,p75,"47,5",', "decimals with a point"),
        (",16cm,CTDIvol,p75,47,", ",61cm,CTDIvol,p75,47,", "column phantom: '61cm'"),
        (",16cm,CTDIvol,p75,47,", ",16cm,CTDI,p75,47,", "column quantity: 'CTDI'"),
        (",16cm,CTDIvol,p75,47,", ",16cm,CTDIvol,p75,0,", "column value: '0'"),
        ("47,mGy,scan", "47,mGy.cm,scan", "column unit: 'mGy.cm'"),
        ("47,mGy,scan", "47,mGy,scans", "column per: 'scans'"),
        ("Head CT (all sequences),head,acute", "Hed CT,head,acute", "label of drl/labels.csv"),
        ("GB-UKHSA-NDRL,UK", "GB-UKHSA,UK", "origin.toml"),
        (",adult,none,", ",grown,none,", "column population: 'grown'"),
        ("drl_set,", "drl_sett,", "unknown column 'drl_sett'"),
        (",verified-in-source", ",verified", "column confidence: 'verified'"),
    ],
)
def test_a_line_that_cannot_be_read_stops_the_build(
    build: ModuleType, tmp_path: Path, old: str, new: str, says: str
) -> None:
    shutil.copytree(DRL, tmp_path / "drl")
    file = tmp_path / "drl" / "sources" / "GB_UKHSA_NDRL_adult_CT" / "as_transcribed.csv"
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(LevelError) as caught:
        build.build(tmp_path / "drl")
    assert says in str(caught.value)


def test_the_same_row_twice_stops_the_build(build: ModuleType, tmp_path: Path) -> None:
    shutil.copytree(DRL, tmp_path / "drl")
    file = tmp_path / "drl" / "sources" / "GB_UKHSA_NDRL_adult_CT" / "as_transcribed.csv"
    lines = file.read_text(encoding="utf-8").splitlines()
    file.write_text("\n".join([*lines, lines[1]]) + "\n", encoding="utf-8")
    with pytest.raises(LevelError, match="twice"):
        build.build(tmp_path / "drl")
