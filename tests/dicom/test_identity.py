"""Nothing that names a person leaves the identity record."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from dose_lib import codes as c
from dose_lib import read_bytes
from dose_lib.dicom.identity import REMOVED
from dose_lib.records import Identity, Part
from dose_lib.simulate.writer import dialect_names, make_ct_part, make_part, write_rdsr
from tests.dicom import build as b


def read(data: bytes, site_key: bytes | None = b"site") -> tuple[Part, Identity]:
    (part,), identity = read_bytes(data, site_key=site_key)
    return part, identity


def person(role: b.Code, name: str = "Tech^Tina", staff_id: str = "E42") -> Dataset:
    return b.person(
        c.PERSON_NAME,
        name,
        b.coded(c.PERSON_ROLE_IN_PROCEDURE, role, rel="HAS PROPERTIES"),
        b.text(c.PERSON_ID, staff_id, rel="HAS PROPERTIES"),
        b.text(c.ORGANIZATION_NAME, "St Elsewhere", rel="HAS PROPERTIES"),
    )


def test_identifiers_are_in_the_identity_and_nowhere_else() -> None:
    data = b.ct_report(
        b.ct_event(
            person(c.IRRADIATION_ADMINISTERING), b.text(c.COMMENT, "repeat for EXAMPLE, Ada")
        ),
        person(c.IRRADIATION_AUTHORIZING, "Chief^Carl", "P7"),
        AccessionNumber="ACC4712",
        StudyDescription="CT of Ada Example (PID-4711), born 31.01.1970",
        OperatorsName="Smith^Sally\\Jones^Jim",
        ReferringPhysicianName="Refer^Rita",
        PatientComments="neighbour of the mayor",
        CurrentPatientLocation="Ward 4",
        OtherPatientIDs="OLD-0815",
        SeriesDescription="for ACC4712",
    )
    part, identity = read(data)
    text = msgspec.json.encode(part).decode() + repr(part)
    for secret in (
        *("Ada", "Example", "PID-4711", "ACC4712", "31.01.1970", "19700131", "1970-01-31"),
        *("Tina", "Carl", "Sally", "Jones", "Rita", "E42", "P7", "mayor", "Ward 4", "OLD-0815"),
    ):
        assert secret not in text, secret
    assert part.study_description == f"CT of {REMOVED} {REMOVED} ({REMOVED}), born {REMOVED}"
    assert (identity.patient_id, identity.patient_name) == ("PID-4711", "Example^Ada")
    assert (identity.birth_date, identity.accession_number) == ("1970-01-31", "ACC4712")
    assert identity.other_patient_ids[0].id == "OLD-0815"
    named = {s.staff_name for s in identity.staff}
    assert named == {"Tech^Tina", "Chief^Carl", "Smith^Sally", "Jones^Jim", "Refer^Rita"}
    assert {t.text for t in identity.texts} >= {"repeat for EXAMPLE, Ada", "for ACC4712"}
    assert identity.part_key == part.part_key
    assert "PID-4711" not in repr(identity)  # not even in a traceback


def test_keys_join_people_and_need_the_site_key() -> None:
    data = b.ct_report(
        b.ct_event(person(c.IRRADIATION_ADMINISTERING)),
        person(c.IRRADIATION_AUTHORIZING, "Chief^Carl", "P7"),
        ReferringPhysicianName="Refer^Rita",
    )
    part, identity = read(data)
    by_name = {s.staff_name: s.staff_key for s in identity.staff}
    assert part.operator_keys == (by_name["Tech^Tina"],)
    assert part.physician_keys == (by_name["Chief^Carl"],)
    assert part.requester_key == by_name["Refer^Rita"]
    assert part.events[0].operator_key == by_name["Tech^Tina"]
    assert part.patient.patient_key == identity.patient_key is not None
    other, _ = read(data, b"another site")
    assert other.patient.patient_key != part.patient.patient_key
    assert other.operator_keys != part.operator_keys
    bare, nobody = read(data, None)
    assert bare.operator_keys == bare.physician_keys == () and bare.requester_key is None
    assert bare.patient.patient_key is None and nobody.patient_key is None
    assert bare.events[0].operator_key is None
    assert bare.part_key == part.part_key


@pytest.mark.parametrize("patient_id", ["", "UNKNOWN", "0000", "anonymous"])
def test_unknown_patients_never_become_one(patient_id: str) -> None:
    one, _ = read(b.ct_report(b.ct_event(), PatientID=patient_id, StudyInstanceUID="1.1"))
    two, _ = read(b.ct_report(b.ct_event(), PatientID=patient_id, StudyInstanceUID="1.2"))
    assert one.patient.patient_key != two.patient.patient_key
    assert one.patient.is_linked is two.patient.is_linked is False


def test_words_of_the_protocol_survive_a_patient_of_the_same_name() -> None:
    """A component of the name is removed as a whole, never a part of another word."""
    part, _ = read(
        b.ct_report(
            b.ct_event(b.text(c.ACQUISITION_PROTOCOL, "Thorax Headfirst AEC")),
            PatientName="Head^Table AEC",
        )
    )
    assert part.events[0].acquisition_protocol == "Thorax Headfirst AEC"


def test_free_text_of_extras_is_cleaned_and_names_are_hidden() -> None:
    part, identity = read(
        b.ct_report(
            b.ct_event(
                b.text(("1", "99X", "Note"), "called Ada Example"),
                b.person(("2", "99X", "Witness"), "Wit^Ness"),
            )
        )
    )
    assert [e.value for e in part.extras] == [
        f"called {REMOVED} {REMOVED}",
        "(in the identity vault)",
    ]
    assert "Wit^Ness" in {s.staff_name for s in identity.staff}


def test_grouped_procedures_keep_all_accession_numbers() -> None:
    requests = b.sequence(*(b.item(AccessionNumber=f"ACC{n}") for n in (1, 2)))
    part, identity = read(b.ct_report(b.ct_event(), ReferencedRequestSequence=requests))
    assert identity.grouped_accession_numbers == ("ACC1", "ACC2")
    assert identity.accession_number == "ACC1" and part.totals.n_events == 1


@settings(max_examples=30, deadline=None)
@given(
    name=st.from_regex(r"[A-Z][a-z]{3,11}", fullmatch=True),
    number=st.from_regex(r"[A-Z]{2}[0-9]{5,8}", fullmatch=True),
    vendor=st.sampled_from(dialect_names()),
    kind=st.sampled_from(["ct", "fluoroscopy", "radiopharmaceutical"]),
)
def test_no_dialect_leaks_the_patient(name: str, number: str, vendor: str, kind: str) -> None:
    values: dict[str, Any] = {"patient_name": f"{name}^Zyx", "patient_id": number}
    if kind == "ct":
        part, identity = make_ct_part(2, vendor, comment=f"seen with {name}", **values)
    else:
        part, identity = make_part(kind, 2, vendor, **values)
    found, hidden = read(write_rdsr(part, identity, vendor))
    text = msgspec.json.encode(found).decode()
    assert number not in text
    assert f"{name}^" not in text and f"with {name}" not in text
    assert hidden.patient_id == number


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("Yildirim^Ali", "ALİ"),
        ("YILDIRIM^ALİ", "ali"),
        ("Yıldırım^Ayşe", "YILDIRIM"),
        ("Groß^Jörg", "JÖRG"),
        ("Groß^Jörg", "groß"),
        ("Οδυσσέας^Νίκος", "ΝΊΚΟΣ"),
        ("O'Neil^Zoe", "o'neil"),
        ("Wang^XiaoDong=王^小东", "小东"),
    ],
)
def test_names_are_found_however_they_are_written(name: str, written: str) -> None:
    data = b.ct_report(
        b.ct_event(b.text(c.COMMENT, f"repeat for {written}, again")),
        SpecificCharacterSet="ISO_IR 192",
        PatientName=name,
    )
    part, identity = read(data)
    assert part.events[0].comment == f"repeat for {REMOVED}, again"
    assert identity.texts[0].text == f"repeat for {written}, again"
