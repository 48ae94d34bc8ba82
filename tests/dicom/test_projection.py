"""Projection, enhanced and estimate reports, against the rows of their templates."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydicom.dataset import Dataset

from dose_lib import codes as c
from dose_lib import merge, read_bytes
from dose_lib.records import (
    EstimateStatistic,
    Identity,
    Modality,
    Part,
    SourceKind,
    XRayEvent,
    XRayEventType,
)
from tests.dicom import build as b

YES, NO = c.to_srt(c.YES), c.to_srt(c.NO)


def read(data: bytes) -> tuple[Part, Identity]:
    (part,), identity = read_bytes(data, site_key=b"site")
    return part, identity


def codes_of(part: Part) -> set[str]:
    return {issue.code for issue in part.issues}


def test_biplane_sums_and_the_larger_plane() -> None:
    def side(value: b.Code, kap: str, kerma: str, time: str) -> Dataset:
        return b.plane(
            b.num(c.DOSE_AREA_PRODUCT_TOTAL, kap, "Gy.m2"),
            b.num(c.DOSE_RP_TOTAL, kerma, "Gy"),
            b.num(c.TOTAL_FLUORO_TIME, time, "s"),
            value=value,
        )

    part, _ = read(
        b.xray_report(side(c.PLANE_A, "0.002", "0.5", "60"), side(c.PLANE_B, "0.001", "0.8", "30"))
    )
    totals = part.totals
    assert (totals.kap_gy_cm2, totals.fluoro_time_s) == (30, 90)
    assert (totals.ka_r_mgy, totals.ka_r_max_plane_mgy) == (1300, 800)
    assert {"kap_gy_cm2", "ka_r_mgy", "ka_r_max_plane_mgy", "fluoro_time_s"} <= set(totals.derived)
    assert [p.plane for p in totals.planes] == ["a", "b"]


def test_one_plane_is_as_stated_and_missing_totals_are_summed() -> None:
    kap = b.num(c.DOSE_AREA_PRODUCT, "0.0001", "Gy.m2")
    part, _ = read(b.xray_report(b.xray_event(kap, uid="1.1"), b.xray_event(kap, uid="1.2")))
    assert part.totals.kap_gy_cm2 == 2 and "kap_gy_cm2" in part.totals.derived
    assert part.totals.ka_r_mgy is None
    stated = b.plane(b.num(c.DOSE_RP_TOTAL, "0.25", "Gy"))
    part, _ = read(b.xray_report(stated, b.xray_event()))
    assert part.totals.ka_r_mgy == part.totals.ka_r_max_plane_mgy == 250
    assert "ka_r_mgy" not in part.totals.derived


def test_events_stand_in_order_of_start() -> None:
    def at(n: int, time: str) -> Dataset:
        return b.xray_event(b.datetime(c.DATETIME_STARTED, f"20240131{time}"), uid=f"1.{n}")

    part, _ = read(b.xray_report(at(1, "101500"), at(2, "100000"), at(3, "101000")))
    assert [e.event_uid for e in part.events] == ["1.2", "1.3", "1.1"]
    assert part.provenance[0].path.startswith("/113701/121058")
    traced = {p.name: p.path for p in part.provenance}
    assert traced["events[0].event_uid"] == "/113701/113706[1]/113769"


def test_provenance_says_what_was_recorded_and_how_it_was_converted() -> None:
    kap = b.num(c.DOSE_AREA_PRODUCT, "1.6e-005", "Gym2")
    part, _ = read(b.xray_report(b.xray_event(kap)))
    (one,) = [p for p in part.provenance if p.name == "events[0].kap_gy_cm2"]
    assert (one.recorded, one.unit, one.factor) == ("1.6e-005", "Gym2", 1e4)
    assert one.path == "/113701/113706/122130"


def test_repeated_and_rejected_acquisitions() -> None:
    repeated = b.coded(
        c.IS_REPEATED_ACQUISITION,
        YES,
        b.coded(c.REASON_FOR_REPEATING_ACQUISITION, ("1", "99X", "motion"), rel="HAS CONCEPT MOD"),
        b.uidref(c.IRRADIATION_EVENT_UID, "1.9.0", rel="HAS PROPERTIES"),
    )
    part, _ = read(b.xray_report(b.xray_event(repeated, b.coded(c.IS_REJECTED_ACQUISITION, NO))))
    event = part.events[0]
    assert (event.is_repeated, event.is_rejected) == (True, False)
    assert event.repeat_of_event_uid == "1.9.0" and event.event_uid == "1.2.3.9.1"
    assert event.repeat_reason is not None


@pytest.mark.parametrize(
    ("kind", "header", "modality"),
    [
        (c.MAMMOGRAPHY, {}, Modality.MG),
        (c.CONE_BEAM_COMPUTED_TOMOGRAPHY, {}, Modality.CBCT),
        (c.DENTAL_RADIOGRAPHY, {"ModalitiesInStudy": ["IO", "SR"]}, Modality.IO),
        (c.DENTAL_RADIOGRAPHY, {}, Modality.PX),
        (c.PROJECTION_XRAY, {}, Modality.RF),
        (c.PROJECTION_XRAY, {"ModalitiesInStudy": ["XA", "SR"]}, Modality.XA),
    ],
)
def test_modality_class(kind: b.Code, header: dict[str, Any], modality: Modality) -> None:
    fluoro = b.coded(c.IRRADIATION_EVENT_TYPE, c.FLUOROSCOPY)
    part, _ = read(b.xray_report(b.xray_event(fluoro), kind=kind, **header))
    assert part.modality is modality


def test_enhanced_report() -> None:
    part, _ = read(
        b.report(
            b.procedure(c.CONE_BEAM_COMPUTED_TOMOGRAPHY),
            b.container(
                c.ACCUMULATED_DOSE_DATA,
                b.text(c.IDENTIFICATION_OF_THE_XRAY_SOURCE, "1"),
                b.num(c.DOSE_AREA_PRODUCT_TOTAL, "0.0002", "Gy.m2"),
            ),
            b.container(
                c.IRRADIATION_EVENT_SUMMARY_DATA,
                b.uidref(c.IRRADIATION_EVENT_UID, "1.1"),
                b.datetime(c.DATETIME_STARTED, "20240131100000"),
                b.datetime(c.DATETIME_ENDED, "20240131100020"),
                b.text(c.IDENTIFICATION_OF_THE_XRAY_SOURCE, "1"),
                b.coded(c.IRRADIATION_EVENT_TYPE, c.ROTATIONAL_ACQUISITION),
                b.num(c.DOSE_RP, "0.01", "Gy"),
                b.num(c.MEAN_CTDI_VOL, "4.2", "mGy"),
            ),
            b.container(
                c.IRRADIATION_DETAILS,
                b.datetime(c.DATETIME_STARTED, "20240131100000"),
                b.datetime(c.DATETIME_ENDED, "20240131100020"),
                b.container(
                    c.RADIATION_OUTPUT,
                    b.num(c.AIR_KERMA_AT_OUTPUT_MEASUREMENT_POINT, "31", "mGy"),
                ),
            ),
            template="10040",
            sop_class=b.ENHANCED_RDSR,
        )
    )
    assert part.modality is Modality.CBCT
    assert part.sources[0].kind is SourceKind.ENHANCED_RDSR
    event = part.events[0]
    assert isinstance(event, XRayEvent)
    assert (event.ka_r_mgy, event.ctdi_vol_mgy, event.source_id) == (10, 4.2, "1")
    assert event.event_type is XRayEventType.ROTATIONAL
    assert event.ka_output_mgy == 31  # mGy here, Gy at the reference point
    details = json.loads(event.irradiation_details or "null")
    assert details[0]["items"][2]["items"][0]["value"] == "31"
    assert part.totals.kap_gy_cm2 == 2 and part.ended_at is not None


def test_common_sum_of_sources_is_not_added_again() -> None:
    def of(source: str, kap: str) -> Dataset:
        return b.container(
            c.ACCUMULATED_DOSE_DATA,
            b.text(c.IDENTIFICATION_OF_THE_XRAY_SOURCE, source),
            b.num(c.DOSE_AREA_PRODUCT_TOTAL, kap, "Gy.m2"),
        )

    items = [of("A", "0.0001"), of("B", "0.0002"), of("A and B", "0.0003")]
    part, _ = read(b.report(*items, template="10040", sop_class=b.ENHANCED_RDSR))
    assert part.totals.kap_gy_cm2 == 3
    part, _ = read(b.report(*items[:2], template="10040", sop_class=b.ENHANCED_RDSR))
    assert part.totals.kap_gy_cm2 == 3 and "kap_gy_cm2" in part.totals.derived


def estimate_report(**header: Any) -> bytes:
    skin = ("39937001", "SCT", "Skin structure")
    return b.report(
        b.text(c.DEVICE_OBSERVER_NAME, "DoseMap", rel="HAS OBS CONTEXT"),
        b.container(
            c.RADIATION_DOSE_ESTIMATE,
            b.text(c.RADIATION_DOSE_ESTIMATE_NAME, "Peak skin dose"),
            b.coded(("128511", "DCM", "Dose type"), c.ABSORBED_DOSE),
            b.num(
                c.MAXIMUM_ABSORBED_RADIATION_DOSE,
                "1.8",
                "Gy",
                b.coded(c.FINDING_SITE, skin, rel="HAS CONCEPT MOD"),
            ),
            b.num(c.MEAN_ABSORBED_RADIATION_DOSE, "0.2", "Gy"),
            b.container(
                c.RADIATION_DOSE_ESTIMATE_METHODOLOGY,
                b.image(c.SR_INSTANCE_USED, "1.2.3.1", vt="COMPOSITE"),
                b.uidref(c.EVENT_UID_USED, "1.2.3.9.1", rel="HAS PROPERTIES"),
                b.container(
                    c.PATIENT_RADIATION_DOSE_MODEL,
                    b.coded(c.PATIENT_MODEL_TYPE, ("128418", "DCM", "Simple Object Model")),
                    b.num(c.MODEL_MINIMUM_AGE, "18", "a"),
                ),
            ),
        ),
        root=c.PATIENT_RADIATION_DOSE_REPORT,
        template="10030",
        sop_class=b.P_RDSR,
        **{"SOPInstanceUID": "1.2.3.77", **header},
    )


def test_estimates_of_others_stay_apart() -> None:
    part, _ = read(estimate_report())
    peak, mean = part.estimates
    assert (peak.statistic, peak.absorbed_dose_mgy) == (EstimateStatistic.MAX, 1800)
    assert (mean.statistic, mean.absorbed_dose_mgy) == (EstimateStatistic.MEAN, 200)
    assert peak.organ is not None and peak.organ.meaning == "Skin structure"
    assert peak.source_sr_uids == ("1.2.3.1",) and peak.source_event_uids == ("1.2.3.9.1",)
    assert peak.patient_model_min_age_y == 18 and peak.name == "Peak skin dose"
    assert peak.author_device is not None and peak.author_device.name == "DoseMap"
    assert part.totals.ka_r_mgy is None and part.events == ()
    measured, _ = read(b.xray_report(b.xray_event(b.num(c.DOSE_RP, "0.9", "Gy"))))
    (merged,) = merge([part, measured])
    assert merged.part_key == measured.part_key
    assert merged.totals.ka_r_mgy == 900 and len(merged.estimates) == 2


def test_a_total_beyond_belief_leaves_an_issue_and_stays() -> None:
    for value, kap in (("12", 120_000.0), ("-1", -10_000.0), ("0.01", 100.0)):
        total = b.num(c.DOSE_AREA_PRODUCT_TOTAL, value, "Gy.m2")
        part, _ = read(b.xray_report(b.plane(total), b.xray_event()))
        assert part.totals.kap_gy_cm2 == kap
        issues = {i.where for i in part.issues if i.code == "implausible_value"}
        assert ("totals.kap_gy_cm2" in issues) is (kap != 100)
