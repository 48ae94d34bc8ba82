"""Reports with more than one template: a part of each, with totals and provenance of its own."""

from __future__ import annotations

from pydicom.dataset import Dataset

from dose_lib import codes as c
from dose_lib import merge, read_bytes
from dose_lib.records import CtEvent, Modality, Part, SourceKind, XRayEvent
from tests.dicom import build as b


def scan(uid: str = "1.2.3.9.1") -> Dataset:
    phantom = b.coded(c.CTDI_W_PHANTOM_TYPE, c.BODY_PHANTOM_32CM)
    dose = b.container(c.CT_DOSE, b.num(c.MEAN_CTDI_VOL, "7", "mGy"), phantom)
    dose.ContentSequence.append(b.num(c.DLP, "210", "mGy.cm"))
    return b.ct_event(dose, uid=uid)


def ct_totals(dlp: str = "210") -> Dataset:
    return b.container(
        c.CT_ACCUMULATED_DOSE_DATA, b.num(c.CT_DOSE_LENGTH_PRODUCT_TOTAL, dlp, "mGy.cm")
    )


def run(uid: str = "1.2.3.9.2") -> Dataset:
    fluoro = b.coded(c.IRRADIATION_EVENT_TYPE, c.FLUOROSCOPY)
    return b.xray_event(fluoro, b.num(c.DOSE_AREA_PRODUCT, "0.0002", "Gy.m2"), uid=uid)


def given() -> Dataset:
    return b.container(
        c.RADIOPHARMACEUTICAL_ADMINISTRATION,
        b.coded(c.RADIOPHARMACEUTICAL_AGENT, ("35321007", "SCT", "FDG")),
        b.num(c.ADMINISTERED_ACTIVITY, "310", "MBq"),
        b.person(c.PERSON_NAME, "Curie^Marie"),
        b.text(c.PRESCRIPTION_IDENTIFIER, "RX-1"),
    )


def by_modality(data: bytes) -> dict[Modality, Part]:
    parts, _ = read_bytes(data, site_key=b"site")
    return {part.modality: part for part in parts}


def test_a_hybrid_rooms_report_makes_two_parts_with_totals_apart() -> None:
    """What the report holds, and where it must not go.

    ========== =============== ==================
    container  CT part         projection part
    ========== =============== ==================
    CT         DLP 210, 1 scan  nothing
    projection nothing          KAP 2, 1 run
    ========== =============== ==================
    """
    kap = b.plane(b.num(c.DOSE_AREA_PRODUCT_TOTAL, "0.0002", "Gy.m2"))
    comment = b.text(c.COMMENT, "of the whole exam")
    found = by_modality(b.ct_report(scan(), ct_totals(), kap, run(), comment))
    assert set(found) == {Modality.CT, Modality.RF}
    ct, fluoro = found[Modality.CT], found[Modality.RF]
    assert [type(e) for e in ct.events] == [CtEvent]
    assert [type(e) for e in fluoro.events] == [XRayEvent]
    assert (ct.totals.dlp_total_mgy_cm, ct.totals.kap_gy_cm2) == (210, None)
    assert (fluoro.totals.kap_gy_cm2, fluoro.totals.dlp_total_mgy_cm) == (2, None)
    assert ct.comment == fluoro.comment == "of the whole exam"
    assert ct.extras == fluoro.extras == ()
    assert ct.part_key != fluoro.part_key and ct.study_uid == fluoro.study_uid
    assert {ct.sources[0].template, fluoro.sources[0].template} == {"10011", "10001"}
    places = {p.name: p.path for p in fluoro.provenance}
    assert places["totals.planes[0].kap_gy_cm2"] == "/113701/113702/113722"
    assert all("several_templates" in {i.code for i in p.issues} for p in found.values())


def test_a_pet_ct_report_makes_an_administration_and_a_ct() -> None:
    data = b.report(
        given(),
        b.container(("1", "99MAKER", "CT"), b.procedure(c.COMPUTED_TOMOGRAPHY), scan()),
        root=c.RADIOPHARMACEUTICAL_RADIATION_DOSE_REPORT,
        template="10021",
        sop_class=b.RRDSR,
    )
    parts, identity = read_bytes(data, site_key=b"site")
    nuclear, ct = parts
    assert nuclear.modality in (Modality.PT, Modality.NM) and ct.modality is Modality.CT
    assert nuclear.administrations[0].administered_activity_mbq == 310
    assert nuclear.procedure_reported is None  # it stands beside the scans
    assert ct.procedure_reported is not None and ct.administrations == ()
    assert ct.totals.dlp_32cm_mgy_cm == 210
    assert (nuclear.sources[0].kind, ct.sources[0].kind) == (SourceKind.RRDSR, SourceKind.ESR)
    assert [s.staff_name for s in identity.staff] == ["Curie^Marie"]
    assert identity.prescription_id == "RX-1"
    assert {p.part_key for p in merge(parts)} == {nuclear.part_key, ct.part_key}


def test_parts_of_one_report_stay_apart_whatever_else_arrives_of_it() -> None:
    both = b.ct_report(given(), run())
    first, second = read_bytes(both)[0]
    again, _ = read_bytes(b.ct_report(given(), run(), run("1.2.3.9.3"), SOPInstanceUID="1.2.3.2"))
    merged = merge([*again, first, second])
    assert sorted(len(p.events) for p in merged) == [0, 2]
    assert [len(p.administrations) for p in merged if p.administrations] == [1]


def test_a_container_that_states_nothing_makes_no_part() -> None:
    nothing = b.plane(b.num(c.DOSE_AREA_PRODUCT_TOTAL, "0", "Gy.m2"))
    found = by_modality(b.ct_report(scan(), nothing))
    assert set(found) == {Modality.CT}
    assert found[Modality.CT].extras[-1].value == "0"  # kept all the same
    found = by_modality(b.ct_report(ct_totals("0"), run()))
    assert set(found) == {Modality.RF}  # the first template states nothing, the second does


def test_totals_alone_make_a_part_too() -> None:
    found = by_modality(b.xray_report(run(), ct_totals()))
    assert found[Modality.CT].events == ()
    assert found[Modality.CT].totals.dlp_total_mgy_cm == 210


def test_reports_within_reports_keep_their_places_in_the_object() -> None:
    def within(*items: Dataset) -> Dataset:
        return b.container(c.XRAY_RADIATION_DOSE_REPORT, *items)

    data = b.report(
        within(b.procedure(c.COMPUTED_TOMOGRAPHY), scan(), ct_totals()),
        within(b.procedure(c.MAMMOGRAPHY), run()),
    )
    found = by_modality(data)
    assert set(found) == {Modality.CT, Modality.MG}
    reported = found[Modality.MG].procedure_reported
    assert reported is not None and reported.value == c.MAMMOGRAPHY.value
    (where,) = (p.path for p in found[Modality.MG].provenance if p.name == "events[0].kap_gy_cm2")
    assert where == "/113701/113701[1]/113706/122130"
