"""Many objects of one exam, counted once: the traps, each with its table, and any order."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dose_lib import codes as c
from dose_lib import merge
from dose_lib.records import CtEvent, Modality, Part, SetRole, SourceKind, XRayEvent
from tests.dicom import build as b
from tests.dicom.sets import codes_of, ct_report, in_any_order, read, roles


def test_cumulative_reports_count_once() -> None:
    """
    report  events   total
    1       a        7        superseded by 3
    2       a b      77       superseded by 3
    3       a b c    236      counts
    """
    sent = [
        ct_report(1, {"1.1": 7}),
        ct_report(2, {"1.1": 7, "1.2": 70}),
        ct_report(3, {"1.1": 7, "1.2": 70, "1.3": 159}),
    ]
    (part,) = in_any_order(*sent)
    assert part.totals.dlp_total_mgy_cm == 236 and len(part.events) == 3
    assert "dlp_total_mgy_cm" not in part.totals.derived
    assert roles(part) == {
        "1.2.3.1": SetRole.SUPERSEDED,
        "1.2.3.2": SetRole.SUPERSEDED,
        "1.2.3.3": SetRole.PRIMARY,
    }


def test_a_late_earlier_copy_changes_nothing() -> None:
    full, early = ct_report(3, {"1.1": 7, "1.2": 70}), ct_report(1, {"1.1": 7})
    (alone,), (both,) = merge([full]), in_any_order(full, early)
    assert both.totals.dlp_total_mgy_cm == alone.totals.dlp_total_mgy_cm == 77
    assert both.totals.n_events == 2 and len(both.events) == 2


def test_continued_reports_add_up() -> None:
    """
    report  events  total
    1       a b     60      primary
    2       c       56      continuation; the sum is ours and says so
    """
    first, second = ct_report(1, {"1.1": 40, "1.2": 20}), ct_report(2, {"1.3": 56})
    (part,) = in_any_order(first, second)
    assert part.totals.dlp_total_mgy_cm == 116 and len(part.events) == 3
    assert part.totals.dlp_32cm_mgy_cm == 116 and part.totals.n_events == 3
    assert {"dlp_total_mgy_cm", "n_events"} <= set(part.totals.derived)
    assert sorted(r for r in roles(part).values() if r) == ["continuation", "primary"]
    assert "totals_summed" in codes_of(part)


def test_overlapping_reports_are_made_anew_from_their_events() -> None:
    """
    report  events  total
    1       a b     60
    2       b c     76      b is in both: 40 + 20 + 56
    """
    first = ct_report(1, {"1.1": 40, "1.2": 20})
    second = ct_report(2, {"1.2": 20, "1.3": 56})
    (part,) = in_any_order(first, second)
    assert len(part.events) == 3 and part.totals.dlp_total_mgy_cm == 116
    assert "dlp_total_mgy_cm" in part.totals.derived
    assert "reports_overlap" in codes_of(part)
    assert set(roles(part).values()) == {SetRole.PARTIAL}


def test_the_same_report_again_with_a_new_uid() -> None:
    """The newest copy counts, with its corrected patient; no dose is added."""
    first = ct_report(1, {"1.1": 40}, PatientWeight="60", StudyDescription="CT")
    second = ct_report(2, {"1.1": 40}, PatientWeight="65", StudyDescription="CT Thorax")
    (part,) = in_any_order(first, second)
    assert part.totals.dlp_total_mgy_cm == 40 and part.patient.weight_kg == 65
    assert part.study_description == "CT Thorax"
    assert roles(part) == {"1.2.3.1": SetRole.DUPLICATE, "1.2.3.2": SetRole.PRIMARY}
    superseded = {s.sop_instance_uid: s.superseded_by for s in part.sources}
    assert superseded["1.2.3.1"] == "1.2.3.2"


def test_a_new_version_of_one_object() -> None:
    first = ct_report(1, {"1.1": 40})
    second = ct_report(1, {"1.1": 40, "1.2": 20}, ContentTime="110000")
    (part,) = in_any_order(first, second)
    assert part.totals.dlp_total_mgy_cm == 60 and len(part.sources) == 2


def successor(n: int, events: dict[str, float], of: str) -> Part:
    """A report that names object `of` as its predecessor."""
    objects = b.sequence(b.item(ReferencedSOPInstanceUID=of))
    series = b.sequence(b.item(ReferencedSOPSequence=objects))
    study = b.item(StudyInstanceUID="1.2.3", ReferencedSeriesSequence=series)
    return ct_report(n, events, PredecessorDocumentsSequence=b.sequence(study))


def test_a_named_predecessor_is_replaced() -> None:
    old, new = ct_report(1, {"1.1": 40, "1.2": 20}), successor(2, {"1.9": 60}, of="1.2.3.1")
    (part,) = in_any_order(old, new)
    assert [e.event_uid for e in part.events] == ["1.9"]


def test_of_reports_that_replace_each_other_one_stays() -> None:
    """
    report  content  events   names as predecessor
    1       10:01    a b
    1       10:05    a                               a new version of 1
    2       10:02    a        3                      superseded
    3       10:03    b        2
    """
    first = ct_report(1, {"1.1": 7, "1.2": 8})
    version = ct_report(1, {"1.1": 7}, ContentTime="100500")
    second, third = successor(2, {"1.1": 7}, of="1.2.3.3"), successor(3, {"1.2": 8}, of="1.2.3.2")
    (part,) = in_any_order(first, version, second, third)
    assert part.totals.dlp_total_mgy_cm == 15
    assert [e.event_uid for e in part.events] == ["1.1", "1.2"]


def test_events_without_uids_are_known_by_what_they_were() -> None:
    """Two sendings without event UIDs: the same scans are one set, others continue it."""

    def sent(n: int, *dlps: float) -> Part:
        items = [
            b.ct_event(b.container(c.CT_DOSE, b.num(c.DLP, str(d), "mGy.cm")), uid=None)
            for d in dlps
        ]
        return read(b.ct_report(*items, SOPInstanceUID=f"1.2.3.{n}", ContentTime=f"10{n:02}00"))

    (part,) = in_any_order(sent(1, 40, 20), sent(2, 40, 20))
    assert len(part.events) == 2
    (part,) = in_any_order(sent(1, 40), sent(2, 20))
    assert len(part.events) == 2


def dx_image(n: int, **header: Any) -> Part:
    base = {
        "SOPInstanceUID": f"1.2.3.{n}",
        "Modality": "DX",
        "KVP": "80",
        "Exposure": "2",
        "AcquisitionDate": "20240131",
        "AcquisitionTime": "093010",
        "ImageAndFluoroscopyAreaDoseProduct": "1.5",
        "ExposureIndex": "250",
    }
    return read(b.encode(b.header(b.DX_IMAGE, **{**base, **header})))


def dx_report(n: int = 50, *events: Any, **header: Any) -> Part:
    kept = events or (dx_event("1.9.1", "093010"),)
    return read(
        b.xray_report(
            b.uidref(c.DEVICE_OBSERVER_UID, "1.77", rel="HAS OBS CONTEXT"),
            *kept,
            SOPInstanceUID=f"1.2.3.{n}",
            **header,
        )
    )


def dx_event(uid: str, time: str, *more: Any, kvp: str = "80") -> Any:
    return b.xray_event(
        b.datetime(c.DATETIME_STARTED, f"20240131{time}"),
        b.coded(c.IRRADIATION_EVENT_TYPE, c.STATIONARY_ACQUISITION),
        b.num(c.DOSE_AREA_PRODUCT, "0.000016", "Gy.m2"),
        b.num(c.KVP, kvp, "kV"),
        b.num(c.EXPOSURE, "2000", "uA.s"),
        *more,
        uid=uid,
    )


def test_report_and_image_of_one_exposure() -> None:
    """
    field           report   image    taken
    kap_gy_cm2      0.16     0.15     report (stronger), with an issue
    exposure_index  -        250      image
    """
    (part,) = in_any_order(dx_image(1), dx_image(2), dx_report())
    (event,) = part.events
    assert isinstance(event, XRayEvent)
    assert (event.kap_gy_cm2, event.exposure_index) == (0.16, 250)
    kinds = [
        part.sources[n].kind
        for n in (event.field_sources[k] for k in ("kap_gy_cm2", "exposure_index"))
    ]
    assert kinds == [SourceKind.RDSR, SourceKind.IMAGE_HEADER]
    assert "sources_disagree" in codes_of(part)
    assert part.part_key == dx_report().part_key  # of the stronger source's device key
    traced = {p.name: part.sources[p.source].kind for p in part.provenance}
    assert traced["events[0].exposure_index"] is SourceKind.IMAGE_HEADER
    assert traced["events[0].kap_gy_cm2"] is SourceKind.RDSR


def test_report_that_names_its_images() -> None:
    """Clocks an hour apart: the image the report names is joined all the same."""
    named = b.image(c.ACQUIRED_IMAGE, "1.2.3.1")
    report = dx_report(50, dx_event("1.9.1", "083010", named))
    (part,) = in_any_order(dx_image(1), report)
    assert len(part.events) == 1 and part.events[0].exposure_index == 250  # type: ignore[union-attr]


def test_an_image_the_report_does_not_know_is_not_counted_twice() -> None:
    """Within the report's time its own events are the exposures; later ones are new."""
    report = dx_report(50, dx_event("1.9.1", "093010"), ContentTime="100000")
    (part,) = in_any_order(report, dx_image(1, KVP="65"))
    assert len(part.events) == 1 and "event_not_in_report" in codes_of(part)
    (part,) = in_any_order(report, dx_image(1, AcquisitionTime="150000"))
    assert len(part.events) == 2


def test_two_exposures_of_one_second_stay_two() -> None:
    (part,) = in_any_order(dx_image(1), dx_image(2, Exposure="4"))
    assert len(part.events) == 2 and part.totals.kap_gy_cm2 == pytest.approx(0.3)


def test_ct_slices_and_reconstructions_are_one_event() -> None:
    def slice_(n: int, acquisition: str, kernel: str = "B30f") -> Part:
        made = b.header(
            b.CT_IMAGE,
            Modality="CT",
            SOPInstanceUID=f"1.2.3.{n}",
            KVP="120",
            CTDIvol=7.5,
            CTDIPhantomTypeCodeSequence=b.sequence(b.code_item(c.BODY_PHANTOM_32CM)),
            AcquisitionNumber=acquisition,
            AcquisitionDate="20240131",
            AcquisitionTime=f"0930{n:02}",
            XRayTubeCurrent=str(100 + n),
            ConvolutionKernel=kernel,
        )
        return read(b.encode(made))

    slices = [slice_(n, "2") for n in range(1, 9)] + [slice_(n, "2", "B70f") for n in range(10, 14)]
    (part,) = in_any_order(*slices, slice_(20, "3"))
    assert [e.label for e in part.events] == ["2", "3"]
    assert part.totals.ctdi_vol_32cm_max_mgy == 7.5
    first = part.events[0].started_at
    assert first is not None and first.second == 1


def test_a_ct_image_with_the_event_of_a_projection_stays_apart() -> None:
    image = b.header(
        b.CT_IMAGE, SOPInstanceUID="1.2.5", IrradiationEventUID="1.1", KVP="120", CTDIvol=3.0
    )
    run = read(b.xray_report(b.xray_event(b.num(c.KVP, "80", "kV"), uid="1.1")))
    found = in_any_order(run, read(b.encode(image)))
    assert sorted(p.modality for p in found) == [Modality.CT, run.modality]


def test_pet_slices_and_the_report_are_one_administration() -> None:
    def slice_(n: int) -> Part:
        item = b.item(
            RadionuclideTotalDose="394000000",
            RadiopharmaceuticalStartDateTime="20240131084830",
            RadiopharmaceuticalAdministrationEventUID=f"1.8.{n}",  # another one in each image
            RadionuclideCodeSequence=b.sequence(b.code_item(("C-111A1", "SRT", "F-18"))),
        )
        made = b.header(
            b.PET_IMAGE,
            Modality="PT",
            SOPInstanceUID=f"1.2.3.{n}",
            RadiopharmaceuticalInformationSequence=b.sequence(item),
        )
        return read(b.encode(made))

    agent = b.coded(
        c.RADIOPHARMACEUTICAL_AGENT,
        ("C-B1031", "SRT", "FDG"),
        b.coded(c.RADIONUCLIDE, ("77004003", "SCT", "^18^Fluorine"), rel="HAS PROPERTIES"),
    )
    report = read(
        b.report(
            b.container(
                c.RADIOPHARMACEUTICAL_ADMINISTRATION,
                agent,
                b.uidref(c.ADMINISTRATION_EVENT_UID, "1.8.100"),
                b.datetime(c.RADIOPHARMACEUTICAL_START_DATETIME, "20240131084030"),
                b.num(c.ADMINISTERED_ACTIVITY, "394.3", "MBq"),
            ),
            root=c.RADIOPHARMACEUTICAL_RADIATION_DOSE_REPORT,
            template="10021",
            sop_class=b.RRDSR,
            SOPInstanceUID="1.2.3.60",
            DeviceSerialNumber="HOTLAB",
        )
    )
    scan = ct_report(70, {"1.1": 300})
    found = in_any_order(*(slice_(n) for n in range(6)), report, scan)
    assert [p.modality for p in found] == [Modality.PT, Modality.CT]
    (given,) = found[0].administrations
    assert given.administered_activity_mbq == 394.3 and given.administration_uid == "1.8.100"
    assert found[0].totals.n_administrations == 1
    assert found[1].totals.dlp_total_mgy_cm == 300  # nothing is added across parts


def test_dual_room_makes_two_parts_and_hybrid_reports_one() -> None:
    fluoro = b.coded(c.IRRADIATION_EVENT_TYPE, c.FLUOROSCOPY)
    still = b.coded(c.IRRADIATION_EVENT_TYPE, c.STATIONARY_ACQUISITION)
    rf = read(b.xray_report(b.xray_event(fluoro, uid="1.1"), SOPInstanceUID="1.2.3.1"))
    dx = read(b.xray_report(b.xray_event(still, uid="1.2"), SOPInstanceUID="1.2.3.2"))
    assert [p.modality for p in in_any_order(rf, dx)] == [Modality.DX, Modality.RF] or len(
        in_any_order(rf, dx)
    ) == 2
    both = read(b.xray_report(b.xray_event(fluoro, uid="1.1"), b.xray_event(still, uid="1.2")))
    assert both.modality is Modality.RF and len(both.events) == 2


def test_two_scanners_of_one_study_stay_apart() -> None:
    one = ct_report(1, {"1.1": 40})
    two = ct_report(2, {"1.2": 50}, DeviceSerialNumber="SN2", StationName="OTHER")
    assert len(in_any_order(one, two)) == 2


def test_step_and_report_of_one_exam() -> None:
    step = read(
        b.encode(
            b.header(
                b.MPPS,
                Modality="RF",
                SOPInstanceUID="1.2.3.90",
                PerformedProcedureStepStatus="COMPLETED",
                TotalTimeOfFluoroscopy=73,
                TotalNumberOfExposures=4,
                ImageAndFluoroscopyAreaDoseProduct="100",
            )
        )
    )
    scope = b.coded(
        c.SCOPE_OF_ACCUMULATION,
        c.SCOPE_PROCEDURE_STEP,
        b.uidref(c.PERFORMED_STEP_UID, "1.2.3.90", rel="HAS PROPERTIES"),
        rel="HAS OBS CONTEXT",
    )
    fluoro = b.coded(c.IRRADIATION_EVENT_TYPE, c.FLUOROSCOPY)
    total = b.plane(b.num(c.DOSE_AREA_PRODUCT_TOTAL, "0.0012", "Gy.m2"))
    report = read(
        b.xray_report(scope, total, b.xray_event(fluoro), DeviceSerialNumber=None, StationName=None)
    )
    (part,) = in_any_order(step, report)
    assert part.totals.kap_gy_cm2 == 12  # the report's, not the step's 10
    assert (part.totals.n_exposures, part.totals.fluoro_time_s) == (4, 73)
    assert part.performed_step_status == "completed"


def test_a_part_of_one_object_is_that_object() -> None:
    one = ct_report(1, {"1.1": 40})
    (part,) = merge([one])
    assert part.events == one.events and part.totals == one.totals
    assert part.sources[0].role_in_set is SetRole.PRIMARY
    assert merge([]) == ()


UIDS = [f"1.{n}" for n in range(1, 6)]


@settings(max_examples=30, deadline=None)
@given(
    sets=st.lists(st.sets(st.sampled_from(UIDS), min_size=1), min_size=1, max_size=5),
    seed=st.integers(0, 1000),
)
def test_any_set_of_reports_in_any_order(sets: list[set[str]], seed: int) -> None:
    """Each event counts once whatever arrives, and nothing is lost."""
    doses = {uid: 10.0 * int(uid[-1]) for uid in UIDS}
    parts = [
        ct_report(n, {uid: doses[uid] for uid in sorted(events)})
        for n, events in enumerate(sets, start=1)
    ]
    shuffled = list(parts)
    random.Random(seed).shuffle(shuffled)
    (one,), (other,) = merge(parts), merge(shuffled)
    assert msgspec.json.encode(one) == msgspec.json.encode(other)
    union = set().union(*sets)
    assert {e.event_uid for e in one.events} == union and len(one.events) == len(union)
    assert one.totals.dlp_total_mgy_cm == pytest.approx(sum(doses[u] for u in union))
    assert len(one.sources) == len(parts)
    assert all(isinstance(e, CtEvent) for e in one.events)
