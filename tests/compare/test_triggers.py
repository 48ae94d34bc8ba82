"""Triggers for single exams: both sides of each published value, and whom each is for."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from dose_lib.compare import Crossed, Step, crossed, triggers_of
from dose_lib.compare.triggers import accumulated_ctdi
from dose_lib.records import CtAcquisitionType, Modality, Part, Phantom, Totals
from dose_lib.reference import Kind, Level, Per, Quantity, load_levels, published_levels
from dose_lib.settings import Settings
from tests.store.exams import ct_event, ct_part

ROWS = [x for x in published_levels() if x.kind is Kind.TRIGGER and x.unit != "times"]
TRIGGERS = triggers_of(published_levels())
FLUORO = {
    Quantity.KA_R: "ka_r_max_plane_mgy",
    Quantity.KAP: "kap_gy_cm2",
    Quantity.FLUORO_TIME: "fluoro_time_s",
}
HEAD, BODY = Phantom.HEAD_16CM, Phantom.BODY_32CM
SPIRAL, SEQUENCED = CtAcquisitionType.SPIRAL, CtAcquisitionType.SEQUENCED


def fluoroscopy(**totals: Any) -> Part:
    part = ct_part(numbers=())
    return msgspec.structs.replace(
        part,
        modality=Modality.XA,
        body_region="heart",
        procedure_name=None,
        totals=Totals(**totals),
    )


def ct(
    dose: float | None,
    *,
    phantom: Phantom | None = BODY,
    region: str | None = "chest",
    age: float | None = 54.0,
    way: CtAcquisitionType = SPIRAL,
    protocol: str = "Routine",
) -> Part:
    event = ct_event(
        "1.2.3", 1, ctdi_vol_mgy=dose, phantom=phantom, acquisition_type=way,
        target_region=None, acquisition_protocol=protocol,
    )  # fmt: skip
    part = ct_part(events=(event,), body_region=region, procedure_name=None)
    return msgspec.structs.replace(part, patient=msgspec.structs.replace(part.patient, age_y=age))


def reached(part: Part, only: str = "") -> list[str]:
    """Rows that were reached, in the source's words."""
    rows = crossed(part, TRIGGERS)
    return [str(c.trigger.level.source_procedure) for c in rows if only in c.trigger.level.set_id]


def one(part: Part) -> Crossed:
    (found,) = crossed(part, TRIGGERS)
    return found


@pytest.mark.parametrize(
    "level",
    [x for x in ROWS if x.quantity in FLUORO and "increment" not in str(x.source_procedure)],
    ids=lambda x: x.row_id,
)
def test_both_sides_of_each_value_of_fluoroscopy(level: Level) -> None:
    """Reached at the value itself: "notify at 3 Gy" (MPPG 12.a 5.3)."""
    alone = triggers_of([level])
    name = FLUORO[level.quantity]
    for value, is_reached in ((level.value * 0.9999, 0), (level.value, 1), (level.value * 1.01, 1)):
        assert len(crossed(fluoroscopy(**{name: value}), alone)) == is_reached


@pytest.mark.parametrize(
    ("value", "times"),
    [(2999.9, 0), (3000.0, 1), (3999.9, 1), (4000.0, 2), (4999.9, 2)],
)
def test_notifications_repeat_with_their_increment(value: float, times: int) -> None:
    found = crossed(fluoroscopy(ka_r_mgy=value), TRIGGERS)
    assert [c.times for c in found if c.trigger.step is Step.NOTIFICATION] == [times] * (times > 0)


def test_increments_of_area_and_time() -> None:
    """KAP 300 then every 100 Gy.cm2; 30 min then every 15 min; substantial 500 and 60 min."""
    found = crossed(fluoroscopy(kap_gy_cm2=520.0, fluoro_time_s=3599.0), TRIGGERS)
    told = {(c.trigger.level.quantity.value, c.trigger.step.value): c.times for c in found}
    assert told == {
        ("kap", "notification"): 3, ("kap", "substantial"): 1, ("fluoro_time", "notification"): 2,
    }  # fmt: skip


def test_two_sources_of_one_value_count_once_the_better_one() -> None:
    found = crossed(fluoroscopy(ka_r_mgy=5000.0), TRIGGERS)
    assert [(c.trigger.step.value, c.trigger.level.set_id) for c in found] == [
        ("notification", "AAPM-MPPG12a-2022"), ("substantial", "AAPM-MPPG12a-2022"),
    ]  # fmt: skip


def test_of_two_planes_the_larger_counts() -> None:
    part = fluoroscopy(ka_r_mgy=5400.0, ka_r_max_plane_mgy=2800.0)
    assert not crossed(part, TRIGGERS)


@pytest.mark.parametrize(
    ("value", "given", "row"),
    [
        (80, {"phantom": HEAD, "region": "head"}, "Notification value: adult head"),
        (50, {}, "Notification value: adult torso"),
        (50, {"region": None, "age": None}, "Notification value: adult torso"),
        (50, {"phantom": HEAD, "region": "head", "age": 1.99}, "paediatric head <2 y"),
        (60, {"phantom": HEAD, "region": "head", "age": 2.0}, "paediatric head 2-5 y"),
        (80, {"phantom": HEAD, "region": "head", "age": 9.0}, "Notification value: adult head"),
        (10, {"age": 9.99}, "paediatric torso <10 y"),
        (25, {"age": 9.99, "phantom": HEAD}, "paediatric torso <10 y"),
        (50, {"age": 10.0}, "Notification value: adult torso"),
        (600, {"phantom": HEAD, "region": "head", "protocol": "Head Perfusion",
               "way": CtAcquisitionType.STATIONARY}, "brain perfusion"),
        (150, {"region": "heart"}, "retrospectively gated"),
        (50, {"region": "heart", "way": SEQUENCED}, "prospectively gated"),
    ],
)  # fmt: skip
def test_both_sides_of_each_value_of_ct(value: float, given: dict[str, Any], row: str) -> None:
    """Told when it is exceeded (NEMA XR 25)."""
    assert not reached(ct(value, **given))
    (found,) = reached(ct(value + 0.001, **given))
    assert row in found
    assert crossed(ct(value + 0.001, **given), TRIGGERS)[0].trigger.level.value == value


def test_every_published_value_is_tested() -> None:
    """Skin dose is in no report: its rows cannot be reached; increments have their own test."""
    values = {80, 50, 60, 10, 25, 600, 150, 1000}
    of_ct = {x.value for x in ROWS if x.modality == "CT"}
    assert of_ct == values
    others = {x.quantity for x in ROWS if x.modality != "CT"} - set(FLUORO)
    assert others == {Quantity.SKIN_DOSE}


@pytest.mark.parametrize(
    "part",
    [
        ct(500, way=CtAcquisitionType.CONSTANT_ANGLE),
        ct(500, way=CtAcquisitionType.STATIONARY),
        ct(79, phantom=HEAD, region="head"),
        ct(500, region="extremity"),
        ct(500, phantom=None),
        ct(None),
        msgspec.structs.replace(ct(500), is_patient=False),
    ],
    ids=["localiser", "stationary", "head", "limb", "no phantom", "no dose", "phantom exposure"],
)
def test_what_reaches_nothing(part: Part) -> None:
    assert not [c for c in crossed(part, TRIGGERS) if c.trigger.level.per is Per.SCAN]


def place(dose: float, bottom: float | None, top: float | None, n: int) -> Any:
    return ct_event(
        "1.2.3", n, ctdi_vol_mgy=dose, scan_bottom_z_mm=bottom, scan_top_z_mm=top, phantom=HEAD
    )


@pytest.mark.parametrize(
    ("events", "total", "is_bound"),
    [
        ([(600, 0, 100), (400, 50, 150)], 1000, False),
        ([(600, 0, 100), (400, 100, 150)], 600, False),
        ([(600, 100, 0), (400, 50, 60), (1, 55, 70)], 1001, False),
        ([(600, 0, 100), (400, None, None)], 1000, True),
        ([(600, None, None)], 600, False),
    ],
)
def test_the_alert_value_adds_up_at_one_place(
    events: list[Any], total: float, is_bound: bool
) -> None:
    made = tuple(place(*e, n) for n, e in enumerate(events))
    part = ct_part(events=made, body_region="head", procedure_name=None)
    found = accumulated_ctdi(part)
    assert found is not None
    assert found[0] == total
    assert ("at most" in found[1]) == is_bound
    alerts = [c for c in crossed(part, TRIGGERS) if c.trigger.step is Step.ALERT]
    assert len(alerts) == (total > 1000)


def test_a_site_names_its_own(settings: Settings) -> None:
    folder = settings.site_dir / "drl"
    folder.mkdir(parents=True)
    (folder / "own.csv").write_text(
        "drl_set,modality,procedure,indication,population,quantity,value,unit,per,kind\n"
        'OURS,XA,any,substantial,adult,"Ka,r",4,Gy,exam,trigger\n'
        "OURS,CT,CT Chest,notification,adult,DLP,900,mGy.cm,exam,trigger\n",
        encoding="utf-8",
    )
    own = triggers_of(load_levels(settings), ["AAPM-MPPG12a-2022"])
    assert {t.level.set_id for t in own} == {"OURS", "AAPM-MPPG12a-2022"}
    found = crossed(fluoroscopy(ka_r_mgy=4000.0), own)
    assert {c.trigger.step: c.trigger.level.set_id for c in found} == {
        Step.SUBSTANTIAL: "OURS", Step.NOTIFICATION: "AAPM-MPPG12a-2022",
    }  # fmt: skip
    for dlp, n in ((900.0, 0), (900.1, 1)):
        assert len(crossed(ct_part(totals=Totals(dlp_total_mgy_cm=dlp)), own)) == n
    assert not triggers_of(published_levels(), [])
