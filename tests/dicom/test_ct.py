"""CT reports item by item, against the rows of TID 10011 to 10015."""

from __future__ import annotations

from pydicom.dataset import Dataset

from dose_lib import codes as c
from dose_lib import read_bytes
from dose_lib.records import (
    CtEvent,
    Identity,
    Part,
)
from tests.dicom import build as b

HEAD, BODY = c.HEAD_PHANTOM_16CM, c.BODY_PHANTOM_32CM
YES, NO = c.to_srt(c.YES), c.to_srt(c.NO)


def read(data: bytes) -> tuple[Part, Identity]:
    (part,), identity = read_bytes(data, site_key=b"site")
    return part, identity


def codes_of(part: Part) -> set[str]:
    return {issue.code for issue in part.issues}


def dose(ctdi: str, dlp: str, phantom: b.Code | None = None, *more: Dataset) -> Dataset:
    items = [b.num(c.MEAN_CTDI_VOL, ctdi, "mGy"), b.num(c.DLP, dlp, "mGy.cm"), *more]
    if phantom is not None:
        items.append(b.coded(c.CTDI_W_PHANTOM_TYPE, phantom))
    return b.container(c.CT_DOSE, *items)


def accumulated(total: str, n: int, *more: Dataset) -> Dataset:
    return b.container(
        c.CT_ACCUMULATED_DOSE_DATA,
        b.num(c.TOTAL_NUMBER_OF_IRRADIATION_EVENTS, str(n), "{events}"),
        b.num(c.CT_DOSE_LENGTH_PRODUCT_TOTAL, total, "mGy.cm"),
        *more,
    )


def test_two_phantoms_are_never_added_silently() -> None:
    """
    event   phantom  CTDIvol  DLP
    1       16 cm    60       800
    2       32 cm    12       400
    3       -        5        50
    stated total              1250   mixes them
    """
    part, _ = read(
        b.ct_report(
            accumulated("1250", 3),
            b.ct_event(dose("60", "800", HEAD), uid="1.1"),
            b.ct_event(dose("12", "400", BODY), uid="1.2"),
            b.ct_event(dose("5", "50"), uid="1.3"),
        )
    )
    totals = part.totals
    assert totals.dlp_total_mgy_cm == 1250
    assert (totals.dlp_16cm_mgy_cm, totals.dlp_32cm_mgy_cm) == (800, 400)
    assert totals.dlp_unknown_phantom_mgy_cm == 50
    assert (totals.ctdi_vol_16cm_max_mgy, totals.ctdi_vol_32cm_max_mgy) == (60, 12)
    assert {"dlp_16cm_mgy_cm", "dlp_32cm_mgy_cm"} <= set(totals.derived)
    assert "dlp_total_mgy_cm" not in totals.derived
    assert {"phantoms_mixed", "phantom_missing"} <= codes_of(part)
    unstated, _ = read(
        b.ct_report(
            b.ct_event(dose("60", "800", HEAD), uid="1.1"),
            b.ct_event(dose("12", "400", BODY), uid="1.2"),
        )
    )
    assert unstated.totals.dlp_total_mgy_cm is None  # no sum over phantoms


def test_stated_subtotals_win_over_sums() -> None:
    subtotal = b.num(
        c.CT_DOSE_LENGTH_PRODUCT_SUB_TOTAL,
        "810",
        "mGy.cm",
        b.coded(c.CTDI_W_PHANTOM_TYPE, HEAD, rel="HAS PROPERTIES"),
    )
    event = b.ct_event(dose("60", "800", HEAD))
    part, _ = read(b.ct_report(accumulated("810", 1, subtotal), event))
    assert part.totals.dlp_16cm_mgy_cm == 810
    assert "dlp_16cm_mgy_cm" not in part.totals.derived
    assert "total_rounded" in codes_of(part)


def test_maxima_leave_out_localisers_and_timing_scans() -> None:
    def scan(n: int, kind: b.Code, ctdi: str, name: str) -> Dataset:
        return b.container(
            c.CT_ACQUISITION,
            b.coded(c.CT_ACQUISITION_TYPE, kind),
            b.uidref(c.IRRADIATION_EVENT_UID, f"1.1.{n}"),
            b.text(c.ACQUISITION_PROTOCOL, name),
            dose(ctdi, "10", BODY),
        )

    part, _ = read(
        b.ct_report(
            scan(1, c.CONSTANT_ANGLE_ACQUISITION, "99", "Topogram"),
            scan(2, c.CT_STATIONARY_ACQUISITION, "98", "Perfusion"),
            scan(3, c.SEQUENCED_ACQUISITION, "97", "SmartPrep"),
            scan(4, c.SPIRAL_ACQUISITION, "9", "Thorax"),
        )
    )
    totals = part.totals
    assert totals.ctdi_vol_32cm_max_mgy == 9
    assert [e.is_bolus_tracking for e in part.events] == [False, False, True, False]  # type: ignore[union-attr]
    counts = (totals.n_localiser_events, totals.n_stationary_events, totals.n_spiral_events)
    assert counts == (1, 1, 1)
    assert totals.dlp_32cm_mgy_cm == 40  # the sum has them all


def test_totals_that_differ_say_by_how_much() -> None:
    event = b.ct_event(dose("10", "500", BODY))
    part, _ = read(b.ct_report(accumulated("700", 2), event))
    found = {i.code: i.seen for i in part.issues}
    assert found["count_differs"] == "2 stated, 1 found"
    assert found["total_differs_from_sum"] == "stated 700, sum 500 (+40.0%)"
    part, _ = read(b.ct_report(accumulated("500", 1), event))
    assert not {"count_differs", "total_differs_from_sum", "total_rounded"} & codes_of(part)


def test_size_specific_dose_estimates() -> None:
    """By water-equivalent diameter first; the others are alternatives (TID 10013 rows 30 ff.)."""
    by_lateral = b.num(
        c.SSDE,
        "14.1",
        "mGy",
        b.coded(c.MEASUREMENT_METHOD, c.SSDE_BY_LATERAL, rel="HAS CONCEPT MOD"),
        b.num(c.MEASURED_LATERAL_DIMENSION, "35", "cm", rel="INFERRED FROM"),
    )
    by_dw = b.num(
        c.SSDE,
        "13.2",
        "mGy",
        b.coded(c.MEASUREMENT_METHOD, c.SSDE_BY_WATER_EQUIVALENT_DIAMETER, rel="HAS CONCEPT MOD"),
        b.uidref(c.WED_SOURCE, "1.9.1", rel="INFERRED FROM"),
        b.num(
            c.WATER_EQUIVALENT_DIAMETER,
            "281",
            "mm",
            b.coded(
                c.MEASUREMENT_METHOD,
                c.WATER_EQUIVALENT_DIAMETER_FROM_RAW_DATA,
                rel="HAS CONCEPT MOD",
            ),
            b.num(c.LONGITUDINAL_POSITION_Z, "-120", "mm", rel="INFERRED FROM"),
            rel="INFERRED FROM",
        ),
        b.num(
            c.SSDE_AT_Z,
            "13.5",
            "mGy",
            b.num(c.LONGITUDINAL_POSITION_Z, "-100", "mm", rel="INFERRED FROM"),
            b.num(c.WED_AT_Z, "278", "mm", rel="INFERRED FROM"),
            rel="INFERRED FROM",
        ),
        b.num(c.DW_CONVERSION_FACTOR_COEFFICIENTS, "3.704", "mm", rel="INFERRED FROM"),
        b.num(c.DW_CONVERSION_FACTOR_COEFFICIENTS, "-0.0367", "mm", rel="INFERRED FROM"),
    )
    part, _ = read(b.ct_report(b.ct_event(dose("10", "400", BODY, by_lateral, by_dw))))
    event = part.events[0]
    assert isinstance(event, CtEvent)
    assert event.ssde_mgy == 13.2 and event.ssde_method is not None
    assert event.ssde_method.value == c.SSDE_BY_WATER_EQUIVALENT_DIAMETER.value
    assert [a.ssde_mgy for a in event.ssde_alternatives] == [14.1]
    assert event.lateral_mm == 350 and event.water_equivalent_diameter_mm == 281
    assert event.water_equivalent_diameter_z_mm == -120
    assert event.water_equivalent_diameter_method is not None
    (at,) = event.ssde_at_z
    assert (at.z_mm, at.ssde_mgy, at.water_equivalent_diameter_mm) == (-100, 13.5, 278)
    assert event.dw_coefficients == (3.704, -0.0367)
    assert event.ssde_source_uids == ("1.9.1",)
    assert part.totals.ssde_max_mgy == 13.2
    assert part.extras == ()


def test_effective_dose_and_two_tubes() -> None:
    def tube(name: str, kv: str) -> Dataset:
        return b.container(
            c.CT_XRAY_SOURCE_PARAMETERS,
            b.text(c.IDENTIFICATION_OF_THE_XRAY_SOURCE, name),
            b.num(c.KVP, kv, "kV"),
        )

    effective = b.num(
        c.EFFECTIVE_DOSE,
        "5.6",
        "mSv",
        b.coded(
            c.MEASUREMENT_METHOD,
            c.E_FROM_DLP_BY_MC,
            b.num(c.EFFECTIVE_DOSE_CONVERSION_FACTOR, "0.014", "mSv/mGy.cm"),
            rel="HAS PROPERTIES",
        ),
    )
    total = b.num(
        c.CT_EFFECTIVE_DOSE_TOTAL,
        "5.7",
        "mSv",
        b.coded(c.REFERENCE_AUTHORITY, c.ICRP_PUB_103, rel="HAS PROPERTIES"),
        b.text(c.PATIENT_MODEL, "adult", rel="HAS PROPERTIES"),
    )
    parameters = b.container(c.CT_ACQUISITION_PARAMETERS, tube("A", "80"), tube("B", "140"))
    event = b.ct_event(parameters, dose("10", "400", BODY, effective))
    part, _ = read(b.ct_report(accumulated("400", 1, total), event))
    scan = part.events[0]
    assert isinstance(scan, CtEvent)
    assert [(s.source_id, s.kvp_kv, s.ordinal) for s in scan.sources] == [
        ("A", 80, 0),
        ("B", 140, 1),
    ]
    assert scan.kvp_kv is None  # two sources: none of them is the event's
    assert (scan.effective_dose_msv, scan.effective_dose_factor_msv_per_mgy_cm) == (5.6, 0.014)
    assert part.totals.effective_dose_msv == 5.7
    assert part.totals.effective_dose_patient_model == "adult"


def test_dose_check_keeps_reason_and_person_apart() -> None:
    alert = b.container(
        c.DOSE_CHECK_ALERT_DETAILS,
        b.coded(c.DLP_ALERT_VALUE_CONFIGURED, YES),
        b.coded(c.CTDI_VOL_ALERT_VALUE_CONFIGURED, NO),
        b.num(c.DLP_ALERT_VALUE, "100", "mGy.cm"),
        b.num(c.ACCUMULATED_DLP_FORWARD_ESTIMATE, "251.2", "mGy.cm"),
        b.text(c.REASON_FOR_PROCEEDING, "large patient Example"),
        b.person(
            c.PERSON_NAME,
            "Tech^Tina",
            b.coded(c.PERSON_ROLE_IN_PROCEDURE, c.IRRADIATION_AUTHORIZING, rel="HAS PROPERTIES"),
        ),
    )
    part, identity = read(b.ct_report(b.ct_event(alert)))
    check = part.events[0].dose_check  # type: ignore[union-attr]
    assert check is not None
    assert (check.alert_dlp_configured, check.alert_ctdi_vol_configured) == (True, False)
    assert (check.alert_dlp_mgy_cm, check.alert_dlp_forward_mgy_cm) == (100, 251.2)
    assert check.alert_reason == "large patient [removed]"  # a name in it is taken out
    assert identity.texts[0].text == "large patient Example"
    assert check.alert_operator_key == identity.staff[0].staff_key
    assert part.physician_keys == ()  # who proceeded is no physician
