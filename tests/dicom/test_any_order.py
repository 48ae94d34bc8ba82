"""Whatever of one study arrives in whatever order, the exam is the same, and counted once."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dose_lib import codes as c
from dose_lib import merge
from dose_lib.records import Modality, Part, SetRole
from tests.dicom import build as b
from tests.dicom.sets import ct_report, read
from tests.dicom.test_merge import successor

A, B, C = {"1.1": 10.0}, {"1.2": 20.0}, {"1.3": 30.0}


def _image(sop_class: str, n: int, **header: Any) -> Part:
    base = {"SOPInstanceUID": f"1.2.3.{n}", "AcquisitionDate": "20240131"}
    return read(b.encode(b.header(sop_class, **{**base, **header})))


def _fluoroscopy(n: int, *events: str, total: str) -> Part:
    kap = c.DOSE_AREA_PRODUCT
    items = [
        b.xray_event(
            b.coded(c.IRRADIATION_EVENT_TYPE, c.FLUOROSCOPY), b.num(kap, "1", "Gy.cm2"), uid=uid
        )
        for uid in events
    ]
    stated = b.plane(b.num(c.DOSE_AREA_PRODUCT_TOTAL, total, "Gy.cm2"))
    number = {"SOPInstanceUID": f"1.2.3.{n}", "ContentTime": f"10{n:02}00"}
    return read(b.xray_report(stated, *items, **number))


def _radiopharmaceutical(n: int, uid: str) -> Part:
    given = b.container(
        c.RADIOPHARMACEUTICAL_ADMINISTRATION,
        b.uidref(c.ADMINISTRATION_EVENT_UID, uid),
        b.num(c.ADMINISTERED_ACTIVITY, "394", "MBq"),
        b.coded(c.RADIONUCLIDE, ("C-111A1", "SRT", "^18^Fluorine")),
        b.datetime(c.RADIOPHARMACEUTICAL_START_DATETIME, "20240131083000"),
    )
    root = c.RADIOPHARMACEUTICAL_RADIATION_DOSE_REPORT
    return read(
        b.report(given, root=root, template="10021", sop_class=b.RRDSR, SOPInstanceUID=f"1.2.3.{n}")
    )


def _pet(n: int) -> Part:
    item = b.item(
        RadionuclideTotalDose="394000000",
        RadionuclideCodeSequence=b.sequence(b.code_item(("C-111A1", "SRT", "^18^Fluorine"))),
        RadiopharmaceuticalStartDateTime="20240131083000",
    )
    return _image(
        b.PET_IMAGE, n, Modality="PT", RadiopharmaceuticalInformationSequence=b.sequence(item)
    )


@cache
def study() -> tuple[Part, ...]:
    """Every row of the report sets (dicom_dose §3.1), and what else a study may hold."""
    view = {"Modality": "DX", "KVP": "80", "Exposure": "20", "ImageLaterality": "L"}
    at = {"AcquisitionTime": "093000"}
    return (
        ct_report(1, A),  # 1
        ct_report(1, A | B, ContentTime="101500"),  # the same object, another version
        ct_report(2, A | B),  # 2: cumulative
        ct_report(3, A | B | C),
        ct_report(4, A | B | C),  # 3: duplicate with a new UID
        ct_report(5, {"1.4": 40.0}),  # 6: continuation
        ct_report(6, C | {"1.5": 50.0}),  # 7: partial overlap
        successor(7, {"1.6": 60.0}, of="1.2.3.5"),  # 9: names a predecessor
        _image(b.CT_IMAGE, 20, Modality="CT", KVP="120", CTDIvol=10.0, IrradiationEventUID="1.1"),
        _image(b.CT_IMAGE, 21, Modality="CT", KVP="120", CTDIvol=10.0, IrradiationEventUID="1.1"),
        _fluoroscopy(30, "2.1", total="1"),
        _fluoroscopy(31, "2.1", "2.2", total="2"),
        _image(b.XA_IMAGE, 32, Modality="XA", KVP="70", IrradiationEventUID="2.2"),
        _image(b.DX_IMAGE, 40, **view, **at),
        _image("1.2.840.10008.5.1.4.1.1.1.1.1", 41, **view, **at),  # its twin for processing
        _image(b.DX_IMAGE, 42, **{**view, "ImageLaterality": "R"}, **at),
        _radiopharmaceutical(50, "3.1"),
        _pet(51),
        _pet(52),
        _image(b.MPPS, 60, Modality="CT", PerformedProcedureStepStatus="COMPLETED"),
    )


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.integers(0, 19), min_size=1, max_size=20), st.randoms(use_true_random=False))
def test_any_objects_of_a_study_in_any_order(chosen: list[int], shuffle: Any) -> None:
    parts = [study()[n] for n in chosen]
    found = merge(parts)
    again = list(parts)
    shuffle.shuffle(again)
    assert msgspec.json.encode(merge(again)) == msgspec.json.encode(found)
    sources = [(s.sop_instance_uid, s.sha256) for p in found for s in p.sources]
    assert set(sources) == {(p.sources[0].sop_instance_uid, p.sources[0].sha256) for p in parts}
    for part in found:
        assert any(s.role_in_set is not SetRole.SUPERSEDED for s in part.sources)
        known = [(e.event_uid, getattr(e, "plane", None), e.ordinal) for e in part.events]
        assert len(known) == len(set(known))


def test_the_whole_study_is_counted_once() -> None:
    """
    CT      events 1.1 to 1.3, 1.5 and 1.6 (1.4 gave way to its successor); union 170 mGy·cm
    RF      2.1 and 2.2 of the cumulative report; the run's image adds fields, no dose
    DX      the left view once, the right view
    PT      one administration of report and slices
    """
    by_kind = {p.modality: p for p in merge(study())}
    ct = by_kind[Modality.CT]
    assert sorted(e.event_uid or "" for e in ct.events) == ["1.1", "1.2", "1.3", "1.5", "1.6"]
    assert ct.totals.dlp_total_mgy_cm == 170
    guided = by_kind.get(Modality.RF) or by_kind[Modality.XA]
    assert guided.totals.kap_gy_cm2 == 2 and len(guided.events) == 2
    assert len(by_kind[Modality.DX].events) == 2
    assert len(by_kind[Modality.PT].administrations) == 1
