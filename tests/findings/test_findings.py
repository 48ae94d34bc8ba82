"""From a simulated department in a real store to findings, answers and verdicts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import numpy as np
import pytest

from dose_lib.compare import compare_practice
from dose_lib.detect import detectors
from dose_lib.errors import UsageError
from dose_lib.findings import (
    acknowledge,
    close_finding,
    dismiss,
    find_finding,
    open_findings,
    reopen,
)
from dose_lib.reference import Reason, load_levels, sign_off
from dose_lib.settings import Settings, load_settings
from dose_lib.simulate.fill import fill_store
from dose_lib.simulate.hospital import Hospital
from dose_lib.store import Store
from dose_lib.store.connect import connect

END = date(2026, 11, 22)


@pytest.fixture(scope="module")
def department(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Settings, Hospital]]:
    """The demo department of 90 days in a store of its own."""
    settings = load_settings(tmp_path_factory.mktemp("department") / "home")
    hospital = Hospital.load("demo", seed=11, end=END)
    with Store.open(settings) as store:
        fill_store(hospital, store, site_key=b"k" * 32)
    yield settings, hospital


def look_and_keep(settings: Settings) -> int:
    """What the service does after each commit: look at parts, keep what is new."""
    with Store.open(settings) as store:
        keys = [k for (k,) in store.sql("SELECT part_key FROM part ORDER BY part_key")]
        parts = store.parts(keys)
        found = [f for d in detectors(settings) for f in d.look(parts)]
        return len(store.add_findings(found))


@pytest.mark.slow
def test_findings_are_kept_once_and_answered(department: tuple[Settings, Hospital]) -> None:
    settings, hospital = department
    truth = {t.study_uid for e in hospital.exams() for t in e.truths if t.kind.startswith("adult")}
    assert look_and_keep(settings) == len(truth) == 1
    assert look_and_keep(settings) == 0, "the same exams again open nothing"
    con = connect(settings.home)
    table = open_findings(con)
    (row,) = table.to_dict("records")
    assert row["detector"] == "adult_protocol_on_child"
    assert row["evidence"]["adult_words"] == ["adult"]
    studies = con.table("studies")
    (study,) = studies.filter(studies.part_key == row["part_key"]).to_pyarrow().to_pylist()
    assert study["study_uid"] in truth

    key = row["finding_id"]
    acknowledge(key, author="radiographer", note="looking", settings=settings)
    assert open_findings(con).empty
    seen = find_finding(con, key)
    assert (seen["state"], seen["state_by"], seen["state_note"]) == (
        "acknowledged", "radiographer", "looking",
    )  # fmt: skip
    dismiss(key, author="physicist", note="on purpose", settings=settings)
    assert find_finding(con, key)["state"] == "dismissed"
    reopen(key, author="physicist", settings=settings)
    assert len(open_findings(con, device=seen["device"], start=END.replace(month=8))) == 1
    close_finding(key, author="physicist", note="protocol removed", settings=settings)
    assert open_findings(con).empty
    assert len(open_findings(con, state=None)) == 1
    with pytest.raises(UsageError, match="no finding"):
        find_finding(con, "nonsense")


@pytest.mark.slow
def test_verdicts_on_a_store_equal_numpy_on_its_rows(
    department: tuple[Settings, Hospital],
) -> None:
    settings, _ = department
    con = connect(settings.home)
    waiting = compare_practice(con, settings=settings, procedure_name="CT Chest")
    assert {v.reason for v in waiting.verdicts if v.band == "adult"} == {Reason.NOT_SIGNED_OFF}
    with Store.open(settings) as store:
        levels = load_levels(settings)
        for name in ("GB-UKHSA-NDRL", "EU-RP185-2018"):
            store.decide(sign_off(levels, name, author="medical physics", note="checked"))
    found = compare_practice(con, settings=settings, procedure_name="CT Chest", kind="drl")
    judged = [v for v in found.verdicts if v.unit == "device" and v.status != "no_verdict"]
    studies = con.table("studies")
    rows = studies.filter(studies.procedure_name == "CT Chest").to_pyarrow().to_pylist()
    adults = [r for r in rows if r["is_patient"] and r["age_y"] is not None and r["age_y"] >= 16]
    sized = [r for r in adults if r["weight_kg"] is not None and 50 <= r["weight_kg"] <= 90]
    checked = [v for v in judged if v.quantity == "dlp" and v.band == "adult"]
    assert len(checked) == 3
    for verdict in checked:
        doses = [
            r["dlp_32cm_mgy_cm"]
            for r in sized
            if r["device"] == verdict.name and r["body_region"] == "chest" and r["dlp_32cm_mgy_cm"]
        ]
        assert verdict.figures.n == len(doses)
        assert verdict.figures.median == pytest.approx(np.median(doses), rel=1e-12)
        assert verdict.figures.p75 == pytest.approx(np.quantile(doses, 0.75), rel=1e-12)
        assert "signed off by medical physics" in verdict.notes
    facility = next(v for v in found.verdicts if v.unit == "facility" and v.quantity == "dlp")
    medians = [v.figures.median for v in checked]
    assert facility.figures.median == pytest.approx(np.median(medians), rel=1e-12)


def test_the_sign_off_of_the_largest_set_fits_the_door(settings: Settings) -> None:
    with Store.open(settings) as store:
        for name in ("FR-2011", "JP-DRLs-2025"):
            store.decide(sign_off(load_levels(settings), name, author="a" * 60))
        assert store.sql("SELECT count(*) FROM decisions") == [(2,)]
