"""A practice against levels: verdicts, and in every other case the reason why there is none."""

from __future__ import annotations

import random
from datetime import date, datetime, timedelta
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as profile
from hypothesis import strategies as st

from dose_lib.compare import Comparison, Status, Verdict, compare_practice
from dose_lib.compare.exams import Exams
from dose_lib.compare.rule import Rule
from dose_lib.compare.task import Task, fits_level, units_of
from dose_lib.records import Phantom
from dose_lib.reference import (
    Confidence,
    Kind,
    Level,
    Per,
    PhantomBasis,
    Quantity,
    Reason,
    fits_patient,
)
from dose_lib.settings import Settings
from tests.compare.practice import exam, practice, scan

LEVEL = Level(
    set_id="SET", edition="1", row_id="SET/chest", kind=Kind.NATIONAL, country="GB",
    modality="CT", procedure_name="CT Chest", source_procedure="Chest CT", body_region="chest",
    quantity=Quantity.DLP, statistic="p75", value=300.0, unit="mGy.cm", per=Per.EXAM,
    phantom=Phantom.BODY_32CM, phantom_basis=PhantomBasis.SOURCE, valid_from=date(2020, 1, 1),
)  # fmt: skip
PER_SCAN = msgspec.structs.replace(
    LEVEL, row_id="SET/scan", quantity=Quantity.CTDI_VOL, value=8.5, unit="mGy", per=Per.SCAN
)
DOSES = [200.0 + 10 * i for i in range(25)]  # median 320


def with_(level: Level = LEVEL, **fields: Any) -> Level:
    return msgspec.structs.replace(level, **fields)


def chests(doses: list[float] = DOSES, **fields: Any) -> list[dict[str, Any]]:
    return [exam(f"e{i}", dlp_32cm_mgy_cm=d, **fields) for i, d in enumerate(doses)]


@pytest.fixture
def compare(settings: Settings) -> Any:
    def run(
        rows: list[dict[str, Any]], *levels: Level, events: Any = (), **options: Any
    ) -> Comparison:
        chosen = levels or (LEVEL,)
        options = {"quantities": [chosen[0].quantity], **options}
        con = practice(rows, events)
        return compare_practice(con, levels=chosen, settings=settings, **options)

    return run


def only(found: Comparison) -> Verdict:
    (verdict,) = found.verdicts
    return verdict


# ---- verdicts --------------------------------------------------------------------------------


def test_the_verdict_equals_an_independent_calculation(compare: Any) -> None:
    doses = list(np.random.default_rng(3).lognormal(5.6, 0.4, 83))
    verdict = only(compare(chests(doses)))
    f, ordered = verdict.figures, sorted(doses)
    assert f.n == 83
    assert f.median == pytest.approx(np.median(doses), rel=1e-12)
    assert f.p25 == pytest.approx(np.percentile(doses, 25), rel=1e-12)
    assert f.p75 == pytest.approx(np.percentile(doses, 75), rel=1e-12)
    # n = 83: P(B <= 32) = 0.0239 and P(B <= 33) = 0.039, so ranks 33 and 51.
    assert (f.ci_low, f.ci_high) == (ordered[32], ordered[50])
    assert verdict.ratio == pytest.approx(np.median(doses) / 300, rel=1e-12)
    assert verdict.share_above == pytest.approx(np.mean(np.array(doses) > 300), rel=1e-12)


@pytest.mark.parametrize(
    ("median", "status"),
    [(299.999, "within"), (300.0, "within"), (300.001, "exceeds")],
)
def test_the_edge_of_a_level(compare: Any, median: float, status: str) -> None:
    doses = [median - 100] * 11 + [median] + [median + 100] * 11
    assert only(compare(chests(doses))).status == status


def test_an_interval_wholly_above_exceeds_consistently(compare: Any) -> None:
    assert only(compare(chests([d + 150 for d in DOSES]))).status is Status.CONSISTENTLY_EXCEEDS


def test_two_periods_running_exceed_consistently(compare: Any) -> None:
    period = {"start": date(2026, 6, 1), "end": date(2026, 6, 30)}
    now = chests(started_at=datetime(2026, 6, 15))
    may = [e | {"part_key": f"b{e['part_key']}"} for e in chests(started_at=datetime(2026, 5, 15))]
    low = [e | {"dlp_32cm_mgy_cm": 100.0} for e in may]
    assert only(compare(now, **period)).status is Status.EXCEEDS
    both = only(compare(now + may, **period))
    assert (both.status, both.previous) == (Status.CONSISTENTLY_EXCEEDS, Status.EXCEEDS)
    assert both.figures.n == 25, "the period before is not counted"
    better = only(compare(now + low, **period))
    assert (better.status, better.previous) == (Status.EXCEEDS, Status.WITHIN)


def test_the_achievable_dose_leaves_room_to_optimise(compare: Any) -> None:
    achievable = with_(row_id="SET/p50", statistic="p50", kind=Kind.ACHIEVABLE, value=210.0)
    low, lower = [d - 70 for d in DOSES], [d - 110 for d in DOSES]
    level = with_(kind=Kind.NATIONAL)
    narrowed = compare(chests(low), level, achievable, kind=("national",))
    assert only(narrowed).status is Status.WITHIN, "other kinds are not looked at unasked"
    local = [with_(x, kind=Kind.LOCAL, origin="site") for x in (level, achievable)]
    found = compare(chests(low), *reversed(local), kind="local")
    by_row = {v.level.row_id: v for v in found.verdicts if v.level}
    assert by_row["SET/chest"].achievable == 210.0
    assert by_row["SET/chest"].status is Status.OPTIMISE
    alone = only(compare(chests(low), achievable, kind="achievable"))
    assert alone.status is Status.OPTIMISE, "a median above an achievable dose exceeds no level"
    assert only(compare(chests(lower), achievable, kind="achievable")).status is Status.WITHIN


def test_rooms_are_judged_and_the_facility_is_the_median_over_them(compare: Any) -> None:
    rows = []
    for room, shift in (("CT 1", -100.0), ("CT 2", 0.0), ("CT 3", 200.0)):
        rows += [
            exam(f"{room}{i}", room=room, dlp_32cm_mgy_cm=d + shift) for i, d in enumerate(DOSES)
        ]
    rows += [exam(f"x{i}", room="CT 4", dlp_32cm_mgy_cm=5000.0) for i in range(19)]
    found = {v.name: v for v in compare(rows).verdicts}
    assert [found[r].status.value for r in ("CT 1", "CT 2", "CT 3", "CT 4")] == [
        "within", "exceeds", "consistently_exceeds", "no_verdict",
    ]  # fmt: skip
    assert found["CT 4"].reason is Reason.TOO_FEW
    assert found["CT 4"].figures.median == 5000.0, "the value is shown"
    facility = found["all rooms"]
    assert facility.figures.median == 320.0
    assert facility.status is Status.EXCEEDS
    assert facility.figures.ci_low is None
    assert "3 of 4 rooms" in facility.basis


def test_a_device_without_a_room_is_its_own_unit(compare: Any) -> None:
    verdict = only(compare(chests(room=None)))
    assert (verdict.unit, verdict.name) == ("device", "Scanner 1")


# ---- no verdict, because ... -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "level", "reason", "says"),
    [
        (chests(DOSES[:19]), LEVEL, "too_few", "19"),
        (chests(), with_(confidence=Confidence.SECONDARY), "not_signed_off", "secondary source"),
        (chests(), with_(phantom_basis=PhantomBasis.CONVENTION), "not_signed_off", "convention"),
        (chests(), with_(phantom=None, phantom_basis=None), "level_phantom_not_stated", "phantom"),
        (chests(), with_(valid_to=date(2025, 12, 31)), "not_in_force", "SET 1"),
        (chests(), with_(valid_from=date(2026, 6, 2)), "not_in_force", "25"),
        (chests(), with_(procedure_name="CT Head"), "no_level", "CT Chest"),
        (chests(), with_(country="FR"), "no_level", "GB"),
        (chests(), with_(kind=Kind.TRIGGER), "no_level", "national"),
        (chests(), with_(is_comparable=False, detail="part 1 of 2"), "not_comparable", "part 1"),
        (chests(), with_(phantom=Phantom.HEAD_16CM), "phantom_mismatch", "25 exams"),
        (chests(dlp_16cm_mgy_cm=200.0), LEVEL, "mixed_phantoms", "25 exams"),
        (
            [e | {"dlp_32cm_mgy_cm": None, "dlp_unknown_phantom_mgy_cm": 300.0} for e in chests()],
            LEVEL, "exam_phantom_not_stated", "25 exams",
        ),
        ([e | {"dlp_32cm_mgy_cm": None, "dlp_total_mgy_cm": 300.0, "dlp_10cm_mgy_cm": 0.0}
          for e in chests()], LEVEL, "no_quantity", "25 exams"),
        (chests(weight_kg=None), LEVEL, "size_unknown", "known for 0 of 25"),
        (chests(weight_kg=95.0), LEVEL, "too_few", "0 patients of 50 to 90 kg"),
        (chests(weight_kg=89.0), LEVEL, "size_not_standard", "89.0 kg"),
        (chests(age_y=None), LEVEL, "age_unknown", "25"),
        (chests(age_y=8.0), LEVEL, "size_outside", "25"),
        (chests(), with_(per=Per.PROJECTION), "per_mismatch", "25 exams"),
        (chests(body_region="chest-abdomen-pelvis"), LEVEL, "more_done_than_coded", "25 exams"),
    ],
)  # fmt: skip
def test_no_verdict_because(
    compare: Any, rows: list[dict[str, Any]], level: Level, reason: str, says: str
) -> None:
    verdict = only(compare(rows, level))
    assert verdict.status is Status.NO_VERDICT
    assert verdict.reason == reason
    assert says in (verdict.text or "")
    assert "no verdict, because" in verdict.in_words()


def test_a_large_practice_needs_no_weights(compare: Any) -> None:
    verdict = only(compare(chests(DOSES * 8, weight_kg=None)))
    assert verdict.status is Status.EXCEEDS
    assert verdict.size_rule == "all sizes (n = 200 is large)"
    assert only(compare(chests((DOSES * 8)[:199], weight_kg=None))).reason is Reason.SIZE_UNKNOWN


def test_heads_need_no_weights(compare: Any) -> None:
    level = with_(procedure_name="CT Head", body_region="head", phantom=Phantom.HEAD_16CM)
    rows = chests(procedure_name="CT Head", weight_kg=None, dlp_16cm_mgy_cm=250.0)
    heads = [e | {"dlp_32cm_mgy_cm": 2.0} for e in rows]
    verdict = only(compare(heads, level))
    assert verdict.status is Status.WITHIN
    assert verdict.size_rule == "all sizes (head)"


@pytest.mark.parametrize(
    ("weight", "counts"), [(49.99, False), (50.0, True), (90.0, True), (90.01, False)]
)
def test_the_standard_window_holds_both_ends(compare: Any, weight: float, counts: bool) -> None:
    rows = [*chests([300.0] * 20), exam("edge", weight_kg=weight, dlp_32cm_mgy_cm=900.0)]
    verdict = only(compare(rows))
    assert verdict.figures.n == (21 if counts else 20)
    assert verdict.share_in_window == pytest.approx(1.0 if counts else 20 / 21)


def test_a_country_may_have_its_own_standard_weight(compare: Any) -> None:
    level = with_(weight_min_kg=50.0, weight_max_kg=70.0)
    rows = [*chests([300.0] * 20, weight_kg=55.0), exam("big", weight_kg=80.0)]
    assert only(compare(rows, level)).figures.n == 20


@pytest.mark.parametrize(("n", "reason"), [(9, Reason.TOO_FEW), (10, None)])
def test_bands_of_children_need_ten(compare: Any, n: int, reason: Reason | None) -> None:
    band = with_(
        population="paediatric", size_basis="weight", size_min=5.0, size_max=15.0, size_unit="kg"
    )
    rows = [exam(f"c{i}", age_y=2.0, weight_kg=12.0, dlp_32cm_mgy_cm=50.0) for i in range(n)]
    verdict = only(compare(rows, band))
    assert verdict.reason is reason
    assert verdict.band == "5 to under 15 kg"
    if n == 10:
        assert "few children" in " ".join(verdict.notes)


def test_every_exam_is_in_one_row(compare: Any) -> None:
    """Adults, children of two bands, a child and an adult of unknown size: nobody is lost."""
    bands = [
        with_(row_id=f"SET/{low}", population="paediatric", size_basis="weight", size_unit="kg",
              size_min=float(low), size_max=float(high))
        for low, high in ((5, 15), (15, 30))
    ]  # fmt: skip
    rows = chests()
    rows += [exam(f"a{i}", age_y=3.0, weight_kg=14.999) for i in range(3)]
    rows += [exam(f"b{i}", age_y=3.0, weight_kg=15.0) for i in range(4)]
    rows += [exam("c", age_y=3.0, weight_kg=None), exam("d", age_y=None), exam("e", age_y=3.0)]
    found = compare(rows, LEVEL, *bands)
    assert {(v.band, v.n_all) for v in found.verdicts} == {
        ("adult", 25), ("5 to under 15 kg", 3), ("15 to under 30 kg", 4), ("no band", 3),
    }  # fmt: skip
    left = next(v for v in found.verdicts if v.band == "no band")
    assert "age unknown 1" in (left.text or "")
    assert "size unknown 1" in (left.text or "")
    assert "size outside 1" in (left.text or "")


def test_each_exam_meets_the_edition_of_its_day(compare: Any) -> None:
    old = with_(row_id="SET/old", edition="0", value=500.0, valid_from=None,
                valid_to=date(2026, 5, 31))  # fmt: skip
    new = with_(valid_from=date(2026, 6, 1))
    rows = chests(started_at=datetime(2026, 5, 31, 23, 59))
    rows += [e | {"part_key": f"n{e['part_key']}", "started_at": datetime(2026, 6, 1)}
             for e in rows]  # fmt: skip
    found = {v.level.row_id: v for v in compare(rows, old, new).verdicts if v.level}
    assert found["SET/old"].status is Status.WITHIN
    assert found["SET/chest"].status is Status.EXCEEDS
    assert found["SET/old"].figures.n == found["SET/chest"].figures.n == 25


def test_quality_control_and_unnamed_exams_do_not_count(compare: Any) -> None:
    rows = [*chests(), exam("qa", is_patient=False), exam("u", procedure_name=None)]
    assert only(compare(rows)).n_all == 25


def test_a_period_holds_both_its_days(compare: Any) -> None:
    days = [datetime(2026, 5, 31, 23, 59), datetime(2026, 6, 1), datetime(2026, 6, 30, 23, 59),
            datetime(2026, 7, 1)]  # fmt: skip
    rows = [exam(str(i), started_at=d) for i, d in enumerate(days)]
    assert only(compare(rows, start=date(2026, 6, 1), end=date(2026, 6, 30))).n_all == 2


# ---- per scan ----------------------------------------------------------------------------------


def scans(n: int = 20, **fields: Any) -> list[dict[str, Any]]:
    return [scan(f"e{i}", **fields) for i in range(n)]


def test_phases_are_weighted_by_dlp(compare: Any) -> None:
    """One exam, two phases: (6 * 100 + 12 * 300) / 400 = 10.5 mGy, never the mean of 9."""
    events = scans(ctdi_vol_mgy=6.0, dlp_mgy_cm=100.0) + scans(ctdi_vol_mgy=12.0, dlp_mgy_cm=300.0)
    verdict = only(compare(chests([300.0] * 20), PER_SCAN, events=events))
    assert verdict.figures.median == pytest.approx(10.5, rel=1e-12)
    assert verdict.status is Status.CONSISTENTLY_EXCEEDS
    assert "weighted by DLP" in verdict.basis


@pytest.mark.parametrize(
    "extra",
    [
        {"acquisition_type": "constant_angle"},
        {"acquisition_type": "stationary"},
        {"acquisition_type": "free"},
        {"is_bolus_tracking": True},
        {"phantom": "16cm"},
        {"target_region": {"value": "69536005", "scheme": "SCT", "meaning": "Head"}},
        {"record": "xray_event"},
    ],
)
def test_what_is_no_acquisition_of_the_level_is_left_out(
    compare: Any, extra: dict[str, Any]
) -> None:
    """Localiser, perfusion, bolus tracking, CT fluoroscopy, other phantom, other region."""
    events = scans() + scans(ctdi_vol_mgy=300.0, **extra)
    verdict = only(compare(chests([300.0] * 20), PER_SCAN, events=events))
    assert verdict.figures.median == 8.0


def test_a_region_nobody_coded_counts_with_its_exam(compare: Any) -> None:
    events = scans(target_region=None)
    assert only(compare(chests([300.0] * 20), PER_SCAN, events=events)).figures.n == 20


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"phantom": "16cm"}, "phantom_mismatch"),
        ({"phantom": None}, "exam_phantom_not_stated"),
        ({"ctdi_vol_mgy": None}, "no_quantity"),
        (
            {"target_region": {"value": "T-D1100", "scheme": "SRT", "meaning": "Head"}},
            "no_quantity",
        ),
    ],
)
def test_scans_that_cannot_be_compared(compare: Any, fields: dict[str, Any], reason: str) -> None:
    verdict = only(compare(chests([300.0] * 20), PER_SCAN, events=scans(**fields)))
    assert verdict.reason == reason


def test_several_scans_without_dlp_cannot_be_weighted(compare: Any) -> None:
    single = scans(dlp_mgy_cm=None)
    assert only(compare(chests([300.0] * 20), PER_SCAN, events=single)).figures.median == 8.0
    double = single + scans(dlp_mgy_cm=100.0)
    assert only(compare(chests([300.0] * 20), PER_SCAN, events=double)).reason == "no_quantity"


def test_dlp_per_acquisition_is_the_mean_over_them(compare: Any) -> None:
    level = with_(per=Per.ACQUISITION, row_id="SET/acq")
    events = scans(dlp_mgy_cm=100.0) + scans(dlp_mgy_cm=300.0)
    assert only(compare(chests([900.0] * 20), level, events=events)).figures.median == 200.0


# ---- properties -------------------------------------------------------------------------------


@given(st.randoms(use_true_random=False))
@profile(max_examples=5, deadline=None,
         suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
def test_order_of_exams_events_and_levels_changes_nothing(
    compare: Any, random: random.Random
) -> None:
    rows = chests() + [exam(f"r{i}", room="CT 2", dlp_32cm_mgy_cm=d) for i, d in enumerate(DOSES)]
    events = scans(25) + scans(25, ctdi_vol_mgy=14.0)
    levels = [LEVEL, PER_SCAN]
    first = compare(rows, *levels, events=events, quantities=["dlp", "ctdi_vol"])
    for some in (rows, events, levels):
        random.shuffle(some)  # type: ignore[arg-type]
    again = compare(rows, *levels, events=events, quantities=["dlp", "ctdi_vol"])
    assert first.to_frame().equals(again.to_frame())


@given(
    age=st.none() | st.floats(0, 100),
    weight=st.none() | st.floats(0.3, 300),
    population=st.sampled_from(["adult", "paediatric"]),
    band=st.sampled_from([None, ("age", 1.0, 6.0), ("weight", 5.0, 15.0), ("weight", 50.0, None)]),
)
@profile(max_examples=60, deadline=None)
def test_the_rule_for_one_patient_and_for_columns_agree(
    age: float | None, weight: float | None, population: str, band: tuple[str, float, float] | None
) -> None:
    basis, low, high = band or (None, None, None)
    level = with_(population=population, size_basis=basis, size_min=low, size_max=high)
    none = np.array([None], dtype=object)
    sizes = [np.array([np.nan if x is None else x]) for x in (age, weight)]
    day = np.array(["2026-06-01"], dtype="datetime64[D]")
    exams = Exams(*[none] * 8, day, *sizes, sizes[1], {})
    rule = Rule("national", "GB", 16.0, 20)
    task = Task("CT Chest", Quantity.DLP, exams, None, *units_of(exams), rule)
    alone = fits_patient(level, age_y=age, weight_kg=weight, child_age_y=16)
    assert bool(fits_level(level, task)[0]) == (alone is None)


def test_the_table_has_one_row_a_verdict(compare: Any) -> None:
    found = compare(chests())
    table = found.to_frame()
    assert table.loc[0, ["status", "n", "level", "level_row"]].tolist() == [
        "exceeds", 25, 300.0, "SET/chest",
    ]  # fmt: skip
    assert compare([]).to_frame().empty


def test_a_sign_off_of_the_site_gives_the_verdict(settings: Settings) -> None:
    """The published library: a British chest CT waits, then is judged."""
    from dose_lib.reference import load_levels, sign_off, sign_offs

    con = practice(chests())
    waiting = only(compare_practice(con, settings=settings, levels=load_levels(settings),
                                    quantities=["dlp"]))  # fmt: skip
    assert waiting.reason is Reason.NOT_SIGNED_OFF
    decided = sign_off(load_levels(settings), "GB-UKHSA-NDRL", author="mpe")
    signed = load_levels(settings, signed=sign_offs([decided]))
    verdict = only(compare_practice(con, settings=settings, levels=signed, quantities=["dlp"]))
    assert verdict.status is Status.EXCEEDS
    assert verdict.level is not None
    assert verdict.level.value == 290
    assert "the level is for lung cancer" in verdict.notes
    assert "signed off by mpe" in verdict.notes


def test_other_periods_do_not_need_both_ends(compare: Any) -> None:
    late = [e | {"started_at": datetime(2026, 6, 1) + timedelta(days=i)}
            for i, e in enumerate(chests())]  # fmt: skip
    assert only(compare(late, start=date(2026, 6, 10))).n_all == 16
