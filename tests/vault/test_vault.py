"""Putting in, looking up, searching, merging, erasing, expiring: what a user would notice."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from dose_lib.errors import LookUpRefusedError, UsageError
from dose_lib.records import Identity, Part, Patient, Staff
from dose_lib.records.enums import Modality
from dose_lib.settings import Settings
from dose_lib.vault import Vault, VaultEntry
from dose_lib.vault.records import ExamIdentity, PatientIdentity, StaffIdentity
from dose_lib.vault.rows import EXAM, PATIENT, STAFF
from tests.vault.people import (
    ADMIN,
    PART,
    PHYSICIST,
    RADIOGRAPHER,
    START,
    WHY,
    Clock,
    entry,
    key,
)
from tests.vault.people import (
    PATIENT as PATIENT_KEY,
)
from tests.vault.people import (
    STAFF as STAFF_KEY,
)


def shown(vault: Vault, one: str) -> tuple[str | None, ...]:
    """Names of a patient, the newest first."""
    return tuple(p.patient_name for p in vault.identify([one], ADMIN, WHY)[0].patients)


def test_every_name_of_an_identity_is_kept(vault: Vault) -> None:
    """What the reader may return and the vault has no place for would be lost in silence."""
    here = {*PATIENT, *EXAM, "part_key", "patient_key", "staff"} - {"unkeyed_staff"}
    assert set(Identity.__struct_fields__) == here
    relation = {"staff_role_in_procedure", "staff_where", "staff_key"}  # kept with the presence
    assert set(Staff.__struct_fields__) == {*STAFF, *relation}


def test_what_was_put_is_found_by_each_key(vault: Vault) -> None:
    assert vault.put([entry(1), entry(2)]) == 2
    patient, exam, staff = vault.identify([PATIENT_KEY, PART, STAFF_KEY], ADMIN, WHY)

    assert (patient.kind, exam.kind, staff.kind) == ("patient", "exam", "staff")
    who = patient.patients[0]
    assert isinstance(who, PatientIdentity)
    assert (who.patient_id, who.patient_id_issuer) == ("PZ-778-341", "HOSP")
    assert (who.patient_name, who.birth_date) == ("Quillfeather^Ottoline", "1961-03-04")
    assert who.other_patient_ids[0].id == "NHS-4444-1212"
    assert (who.first_seen, who.last_seen) == (START, START)
    assert {e.part_key for e in patient.exams} == {PART, key("part", 2)}

    one = exam.exams[0]
    assert isinstance(one, ExamIdentity)
    assert (one.accession_number, one.study_id) == ("ACC-90210-X", "SID-55512")
    assert one.grouped_accession_numbers == ("ACC-90210-X",)
    assert one.placer_order_number == "PLACER-8181"
    assert one.texts[0].text == "repeat for Quillfeather"
    assert one.unkeyed_staff[0].staff_organization == "Locum agency"
    assert exam.patients[0].patient_name == "Quillfeather^Ottoline"

    person = staff.staff[0]
    assert isinstance(person, StaffIdentity)
    assert (person.staff_name, person.staff_id) == ("Marchbanks^Thaddeus", "E001")


def test_nothing_is_shown_by_repr(vault: Vault) -> None:
    vault.put([entry()])
    found = vault.identify([PATIENT_KEY, PART, STAFF_KEY], ADMIN, WHY)
    shown = repr((entry(), found, found[0].patients, found[1].exams, found[2].staff))
    for word in ("Quillfeather", "PZ-778", "1961", "Marchbanks", "ACC-90210", "NHS"):
        assert word not in shown


def test_the_beginning_of_a_key_is_enough(vault: Vault) -> None:
    vault.put([entry()])
    assert vault.identify([PATIENT_KEY[:10]], ADMIN, WHY)[0].key == PATIENT_KEY
    assert vault.identify([PART[:8]], ADMIN, WHY)[0].key == PART
    with pytest.raises(UsageError, match="beginning of no key"):
        vault.identify(["0123456789"], ADMIN, WHY)


def test_an_unknown_key_is_an_answer(vault: Vault) -> None:
    found = vault.identify([key("patient", 99)], ADMIN, WHY)[0]
    assert not found.is_known


def test_what_is_no_key_is_not_repeated(vault: Vault) -> None:
    with pytest.raises(UsageError) as caught:
        vault.identify(["PZ-778-341"], ADMIN, WHY)
    assert "PZ" not in str(caught.value)


def test_a_change_of_name_keeps_both_with_their_dates(vault: Vault) -> None:
    vault.put([entry(1, day=0)])
    vault.put([entry(2, day=5, patient_name="Quillfeather-Voss^Ottoline")])
    newest, before = vault.identify([PATIENT_KEY], ADMIN, WHY)[0].patients
    assert newest.patient_name == "Quillfeather-Voss^Ottoline"
    assert (before.first_seen, before.last_seen) == (START, START)
    assert newest.first_seen == START + timedelta(days=5)


def test_the_same_object_again_changes_nothing(vault: Vault) -> None:
    vault.put([entry(1)])
    before = vault.facts()
    vault.put([entry(1), entry(1)])
    assert msgspec.structs.replace(vault.facts(), n_audit=before.n_audit) == before


def test_an_object_read_anew_replaces_what_was_read_before(vault: Vault) -> None:
    """A better reader, after an upgrade and a rebuild, finds another accession number."""
    vault.put([entry(1, accession_number=None)])
    vault.put([entry(1, accession_number="ACC-77")])
    exams = vault.identify([PART], ADMIN, WHY)[0].exams
    assert [e.accession_number for e in exams] == ["ACC-77"]


def test_an_older_receipt_that_comes_late_does_not_replace(vault: Vault) -> None:
    vault.put([entry(1, day=3, accession_number="new")])
    vault.put([entry(1, day=1, accession_number="old")])
    exams = vault.identify([PART], ADMIN, WHY)[0].exams
    assert [e.accession_number for e in exams] == ["new"]


def test_an_entry_comes_from_what_the_reader_returns() -> None:
    identity = Identity(part_key=PART, patient_id="x")
    parts = [
        Part(
            part_key=k,
            study_uid="1",
            modality=Modality.CT,
            started_at=START.replace(tzinfo=None) + timedelta(hours=n),
            patient=Patient(patient_key=PATIENT_KEY),
        )
        for n, k in enumerate((PART, key("part", 2)))
    ]
    made = VaultEntry.of(parts, identity, sha256="a", received_at=START)
    assert made.part_keys == (PART, key("part", 2))
    assert made.identity.patient_key == PATIENT_KEY
    assert made.occurred_at == START


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"identity": Identity()}, "patient key"),
        ({"part_keys": ()}, "part key"),
        ({"received_at": START.replace(tzinfo=None)}, "zone"),
    ],
)
def test_what_could_not_be_joined_is_refused(changes: dict[str, object], said: str) -> None:
    fields = {n: getattr(entry(), n) for n in VaultEntry.__struct_fields__}
    with pytest.raises(UsageError, match=said):
        VaultEntry(**{**fields, **changes})


@pytest.mark.parametrize(
    ("by", "value", "expected"),
    [
        ("patient_id", " pz-778-341 ", PATIENT_KEY),
        ("patient_id", "nhs-4444-1212", PATIENT_KEY),
        ("patient_name", "ottol quill", PATIENT_KEY),
        ("patient_name", "Quillfeather, Ottoline", PATIENT_KEY),
        ("birth_date", "1961-03-04", PATIENT_KEY),
        ("accession_number", "acc-90210-x", PART),
        ("study_id", "SID-55512", PART),
        ("order_number", "placer-8181", PART),
        ("staff_name", "marchbanks", STAFF_KEY),
        ("staff_id", "e001", STAFF_KEY),
    ],
)
def test_search_finds_the_key(vault: Vault, by: str, value: str, expected: str) -> None:
    vault.put([entry(1)])
    assert [m.key for m in vault.search(by, value, ADMIN, WHY)] == [expected]


def test_search_sees_through_accents_and_case(vault: Vault) -> None:
    vault.put([entry(7, patient=7, patient_name="Müller^Jürgen=ミュラー^ユルゲン")])
    for value in ("muller jurgen", "MÜLLER", "ミュラー"):
        assert [m.key for m in vault.search("patient_name", value, ADMIN, WHY)] == [
            key("patient", 7)
        ]


@pytest.mark.parametrize("value", ["", "  ", "qu", "%", "__", "' OR 1=1 --"])
def test_search_gives_nothing_away(vault: Vault, value: str) -> None:
    vault.put([entry(1)])
    try:
        assert vault.search("patient_name", value, ADMIN, WHY) == ()
    except UsageError as error:
        assert "too little" in str(error)


def test_search_does_not_list_everyone(vault: Vault) -> None:
    vault.put([entry(n, patient=n) for n in range(2, 60)])
    with pytest.raises(UsageError, match="more than 50"):
        vault.search("patient_name", "given", ADMIN, WHY)
    found = vault.audit(ADMIN)[0:3]
    assert any("more than 50" in row.outcome for row in found)


def test_merged_patients_are_found_by_either_key(vault: Vault) -> None:
    vault.put([entry(1), entry(2, patient=2, day=1)])
    decision = vault.merge(PATIENT_KEY, key("patient", 2), ADMIN, "A40 from the RIS")
    for one in (PATIENT_KEY, key("patient", 2)):
        assert shown(vault, one) == ("Family2^Given", "Quillfeather^Ottoline")
        found = vault.identify([one], ADMIN, WHY)[0]
        assert found.patient_keys == (PATIENT_KEY, key("patient", 2))
        assert len(found.exams) == 2
    assert decision.kind == "patient_merge"
    assert decision.payload == {"surviving": PATIENT_KEY}
    assert decision.author == "admin"  # the role: the person stays in the audit


def test_an_unmerge_parts_them_again(vault: Vault) -> None:
    vault.put([entry(1), entry(2, patient=2)])
    vault.merge(PATIENT_KEY, key("patient", 2), ADMIN, WHY)
    vault.unmerge(PATIENT_KEY, key("patient", 2), ADMIN, WHY)
    assert shown(vault, PATIENT_KEY) == ("Quillfeather^Ottoline",)
    assert shown(vault, key("patient", 2)) == ("Family2^Given",)


def test_an_erased_patient_is_gone_and_others_stay(vault: Vault) -> None:
    vault.put([entry(1), entry(2), entry(3, patient=3)])
    erasure = vault.erase(PATIENT_KEY, ADMIN, "request of 4 May", scope="everything")
    assert erasure.patient_keys == (PATIENT_KEY,)
    assert set(erasure.part_keys) == {PART, key("part", 2)}
    assert set(erasure.objects) == {entry(1).sha256, entry(2).sha256}
    assert erasure.decision.payload == {"cause": "request", "scope": "everything"}

    assert not vault.identify([PATIENT_KEY], ADMIN, WHY)[0].is_known
    assert not vault.identify([PART], ADMIN, WHY)[0].is_known
    assert vault.search("patient_id", "PZ-778-341", ADMIN, WHY) == ()
    assert shown(vault, key("patient", 3)) == ("Family3^Given",)
    assert vault.identify([STAFF_KEY], ADMIN, WHY)[0].is_known  # who worked is not the patient's


def test_an_erasure_reaches_all_merged_keys(vault: Vault) -> None:
    vault.put([entry(1), entry(2, patient=2)])
    vault.merge(PATIENT_KEY, key("patient", 2), ADMIN, WHY)
    erasure = vault.erase(key("patient", 2), ADMIN, WHY)
    assert set(erasure.patient_keys) == {PATIENT_KEY, key("patient", 2)}
    assert vault.facts().n_patients == 0


def test_what_was_erased_does_not_come_back(vault: Vault, clock: Clock) -> None:
    """From the spool, from a rebuild, or sent again by the PACS after the erasure."""
    vault.put([entry(1)])
    vault.erase(PATIENT_KEY, ADMIN, WHY)
    assert vault.put([entry(1)]) == 0
    assert vault.put([entry(1, day=20, exam_day=0)]) == 0
    assert vault.facts().n_patients == 0


def test_a_later_visit_is_kept(vault: Vault) -> None:
    vault.put([entry(1)])
    vault.erase(PATIENT_KEY, ADMIN, WHY)
    assert vault.put([entry(2, day=20)]) == 1
    assert shown(vault, PATIENT_KEY) == ("Quillfeather^Ottoline",)


def test_a_clock_that_ran_ahead_does_not_carry_an_exam_past_its_erasure(
    vault: Vault, clock: Clock
) -> None:
    vault.put([entry(1, day=30)])
    clock.day = 10
    vault.erase(PATIENT_KEY, ADMIN, WHY)
    assert vault.facts().n_patients == 0


def test_a_member_of_staff_can_be_erased(vault: Vault) -> None:
    vault.put([entry(1)])
    erasure = vault.erase(STAFF_KEY, ADMIN, "left the hospital")
    assert erasure.decision.kind == "staff_erase"
    assert not vault.identify([STAFF_KEY], ADMIN, WHY)[0].is_known
    assert shown(vault, PATIENT_KEY) == ("Quillfeather^Ottoline",)
    vault.put([entry(1)])
    assert not vault.identify([STAFF_KEY], ADMIN, WHY)[0].is_known


def test_identities_expire_by_the_date_of_the_exam(vault: Vault) -> None:
    vault.put([entry(1, exam_day=-4000), entry(2, patient=2)])
    erasure = vault.expire(START - timedelta(days=3650))
    assert erasure is not None
    assert erasure.part_keys == (PART,)
    assert vault.facts().n_patients == 1
    assert vault.put([entry(1, exam_day=-4000)]) == 0
    assert vault.expire(START - timedelta(days=3650)) is None


def test_an_erasure_writes_the_file_anew(vault: Vault, settings: Settings) -> None:
    """What DuckDB only marks as free (see test_file) is not in the file that takes its place."""
    vault.put([entry(1), entry(2, patient=2)])
    file = settings.vault_dir / "identities.duckdb"
    before = file.stat().st_ino
    vault.erase(PATIENT_KEY, ADMIN, WHY)
    assert file.stat().st_ino != before
    assert {p.name for p in settings.vault_dir.iterdir()} <= {
        "identities.duckdb",
        "identities.duckdb.wal",
        "inbox",
        "tmp",
    }


def test_decisions_are_taken_over_once(vault: Vault, settings: Settings, tmp_path: Path) -> None:
    vault.put([entry(1), entry(2, patient=2), entry(3, patient=3)])
    vault.merge(PATIENT_KEY, key("patient", 2), ADMIN, WHY)
    vault.erase(key("patient", 3), ADMIN, WHY)
    made = vault.decisions()

    other = settings.model_copy(update={"home": tmp_path / "rebuilt"})
    with Vault.open(other) as rebuilt:
        assert rebuilt.apply(made) == 2
        assert rebuilt.apply(reversed(made)) == 0
        rebuilt.put([entry(3, patient=3), entry(2, patient=2), entry(1)])
        assert rebuilt.decisions() == made
        assert rebuilt.facts().n_patients == 2
        assert shown(rebuilt, key("patient", 2)) == shown(vault, key("patient", 2))


def test_the_vault_remembers(settings: Settings) -> None:
    with Vault.open(settings) as vault:
        vault.put([entry(1), entry(2, patient=2)])
        vault.merge(PATIENT_KEY, key("patient", 2), ADMIN, WHY)
    with Vault.open(settings) as vault:
        assert vault.decisions()[0].kind == "patient_merge"
        assert len(vault.identify([PATIENT_KEY], ADMIN, WHY)[0].patients) == 2


def test_staff_known_by_id_and_by_name_are_recognised_as_one(vault: Vault) -> None:
    """Only keys are told, so that the store can show both under one code."""

    def with_staff(number: int, staff_key: str, name: str, staff_id: str | None) -> VaultEntry:
        person = Staff(staff_key=staff_key, staff_name=name, staff_id=staff_id)
        return entry(number, staff=(person,), patient=2)

    a, b, c, d = (key("staff", n) for n in range(4))
    vault.put(
        [
            with_staff(1, a, "Marchbanks^Thaddeus", "E001"),
            with_staff(2, b, "MARCHBANKS THADDEUS", None),
            with_staff(3, c, "Smith^John", "E7"),
            with_staff(4, d, "Smith^John", "E8"),  # two people of one name
        ]
    )
    assert vault.same_staff() == (tuple(sorted((a, b))),)


def test_who_may_look_at_an_exam_only_sees_no_patient(vault: Vault) -> None:
    vault.put([entry(1)])
    found = vault.identify([PART], RADIOGRAPHER, WHY)[0]
    assert found.exams[0].accession_number == "ACC-90210-X"
    assert found.patients == ()
    assert found.exams[0].texts == found.exams[0].unkeyed_staff == ()
    assert found.patient_keys == ()


def test_names_of_staff_follow_the_setting(settings: Settings) -> None:
    named = settings.model_copy(update={"show_operators": "name"})
    with Vault.open(named) as vault:
        vault.put([entry(1)])
        assert vault.staff_names(PHYSICIST) == {STAFF_KEY: "Marchbanks^Thaddeus"}
        assert vault.identify([STAFF_KEY], PHYSICIST, WHY)[0].is_known
    with Vault.open(settings) as vault:
        with pytest.raises(LookUpRefusedError):
            vault.staff_names(PHYSICIST)
        with pytest.raises(LookUpRefusedError):
            vault.identify([STAFF_KEY], PHYSICIST, WHY)
        assert vault.identify([STAFF_KEY], ADMIN, WHY)[0].is_known
