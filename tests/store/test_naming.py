"""Decisions about names: they hold for what is stored, and for the past as it was told."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dose_lib.records import Code, Decision, Device, Part, Patient
from dose_lib.settings import Settings
from dose_lib.store import Store, submit_decision
from tests.store.exams import ARRIVED, START, ct_part, incoming

Row = tuple[Any, ...]
NOON = datetime(2026, 4, 1, 12, tzinfo=UTC)
ODD = "Spezial 7 b"


class Clock:
    """A clock that somebody turns."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(settings: Settings, clock: Clock) -> Iterator[Store]:
    """A fresh store with the site's own steps."""
    with Store.open(settings, clock=clock) as opened:
        yield opened


def exam(study: str, **given: Any) -> Part:
    """A CT of an unknown description, whose events say only that a chest was irradiated."""
    part = ct_part(study, **({"study_description": ODD, "requested_procedure": None} | given))
    events = tuple(msgspec_replace(e, acquisition_protocol="7 b") for e in part.events)
    return msgspec_replace(part, events=events, protocol_names=("7 b",), procedure_name=None)


def msgspec_replace(record: Any, **given: Any) -> Any:
    import msgspec

    return msgspec.structs.replace(record, **given)


def mapping(subject: str, name: str | None, **payload: Any) -> Decision:
    payload |= {"procedure_name": name}
    return Decision(kind="procedure_mapping", subject=subject, payload=payload, author="mp")


def names(store: Store) -> dict[str, str | None]:
    return dict(store.sql("SELECT study_uid, procedure_name FROM studies ORDER BY study_uid"))


def test_a_mapping_names_what_is_stored_and_what_comes(store: Store) -> None:
    store.commit([incoming(exam("1.1")), incoming(exam("1.2", study_description="CT head"))])
    assert names(store) == {"1.1": None, "1.2": None}  # the head lies nowhere in a chest
    store.decide(mapping(ODD, "CT Chest"))
    assert names(store)["1.1"] == "CT Chest"
    store.commit([incoming(exam("1.3"))])
    assert names(store)["1.3"] == "CT Chest"
    rows = store.sql("SELECT procedure_rule, procedure_confidence FROM studies")
    assert ("site mapping", 1.0) in rows


def test_spelling_and_case_do_not_matter(store: Store) -> None:
    store.commit([incoming(exam("1.1", study_description="SPEZIAL   7 B"))])
    store.decide(mapping("spezial 7 b", "CT Chest"))
    assert names(store) == {"1.1": "CT Chest"}


def test_by_code_and_by_protocol(store: Store) -> None:
    coded = exam("1.1", procedure_code=Code("K7", "99RIS", "odd"), study_description=None)
    store.commit([incoming(coded), incoming(exam("1.2", study_description=None))])
    store.decide(mapping("99RIS:K7", "CTPA"))
    assert names(store) == {"1.1": "CTPA", "1.2": None}
    store.decide(mapping("7 b", "CT Chest"))
    assert names(store) == {"1.1": "CTPA", "1.2": "CT Chest"}


def test_a_mapping_of_another_modality_does_not_touch(store: Store) -> None:
    store.commit([incoming(exam("1.1"))])
    store.decide(mapping(ODD, "Chest PA", modality="DX"), mapping(ODD, "Hip"))
    assert names(store) == {"1.1": None}


def test_no_name_on_purpose(store: Store) -> None:
    store.commit([incoming(exam("1.1", study_description="CT chest"))])
    assert names(store) == {"1.1": "CT Chest"}
    store.decide(mapping("CT chest", None))
    assert names(store) == {"1.1": None}
    store.decide(mapping("CT chest", None, is_revoked=True))
    assert names(store) == {"1.1": "CT Chest"}


def test_a_person_wins_over_what_was_learned(store: Store) -> None:
    store.commit([incoming(exam("1.1"))])
    learned = {"modality": "CT", "origin": "learned", "confidence": 0.97, "evidence": "like it"}
    store.decide(mapping(ODD, "CTPA", **learned))
    assert names(store) == {"1.1": "CTPA"}
    assert store.sql("SELECT procedure_rule, procedure_confidence FROM studies") == [
        ("learned", 0.97)
    ]
    store.decide(mapping(ODD, "CT Chest"))
    store.decide(mapping(ODD, "CTPA", **learned))
    assert names(store) == {"1.1": "CT Chest"}


def test_what_it_was_called_before_is_kept(store: Store, clock: Clock) -> None:
    store.commit([incoming(exam("1.1"))])
    store.decide(mapping(ODD, "CTPA"))
    first = clock.now
    clock.now += timedelta(days=30)
    store.decide(mapping(ODD, "CT Chest"))
    assert store.sql("SELECT procedure_name, until FROM former_name ORDER BY until") == [
        (None, first),
        ("CTPA", clock.now),
    ]
    assert names(store) == {"1.1": "CT Chest"}
    clock.now += timedelta(days=1)
    store.decide(mapping(ODD, "CT Chest", note="again"))
    assert store.sql("SELECT count(*) FROM former_name") == [(2,)], "nothing changed"


def test_an_interrupted_change_is_finished_at_the_next_start(
    settings: Settings, clock: Clock
) -> None:
    with Store.open(settings, clock=clock) as store:
        store.commit([incoming(exam("1.1"))])
        store._closing.set()  # as if it were closed while it renames
        store.decide(mapping(ODD, "CT Chest"))
        assert names(store) == {"1.1": None}
    with Store.open(settings, clock=clock) as store:
        assert names(store) == {"1.1": "CT Chest"}
        assert store.sql("SELECT n_parts FROM applied_decision") == [(1,)]


def test_a_decision_handed_in_without_an_owner_renames_too(settings: Settings) -> None:
    with Store.open(settings) as store:
        store.commit([incoming(exam("1.1"))])
    submit_decision(settings, mapping(ODD, "CT Chest"))
    with Store.open(settings) as store:
        assert names(store) == {"1.1": "CT Chest"}


def test_everything_can_be_made_anew(store: Store, settings: Settings) -> None:
    store.commit([incoming(exam("1.1"))])
    settings.site_dir.mkdir(parents=True, exist_ok=True)
    (settings.site_dir / "procedures.toml").write_text(
        f'[[procedure]]\nname = "CT Chest"\ntexts = ["{ODD}"]\n'
    )
    assert names(store) == {"1.1": None}
    store.decide(Decision(kind="renormalise", subject="all", author="mp"))
    assert names(store) == {"1.1": "CT Chest"}


def test_derived_doses_are_stored_with_their_inputs(store: Store) -> None:
    store.commit([incoming(exam("1.1"))])
    row = store.sql(
        "SELECT size_method, derived_effective_dose_msv, derived_ssde_max_mgy,"
        " derived->'totals.effective_dose_msv'->'inputs'->>'factors' FROM studies"
    )
    (method, dose, ssde, factors) = row[0]
    assert method == "weight"
    assert dose == pytest.approx(0.014 * 464.0)
    assert ssde > 9.25
    assert factors == "AAPM-96"


def without_weight(study: str, **given: Any) -> Part:
    part = exam(study, **given)
    patient = msgspec_replace(part.patient, weight_kg=None, height_cm=None)
    return msgspec_replace(part, patient=patient)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_weights_are_lent_in_any_order(settings: Settings, order: tuple[int, ...]) -> None:
    """Three studies of one person: only the middle one has a weight, the last is years later.

    | study | day  | weight | takes    |
    |-------|------|--------|----------|
    | 1.1   | 0    | none   | 1.2's    |
    | 1.2   | 30   | 82.5   | its own  |
    | 1.3   | 2000 | none   | nobody's |
    """
    exams = [
        without_weight("1.1"),
        exam("1.2", started_at=START + timedelta(days=30)),
        without_weight("1.3", started_at=START + timedelta(days=2000)),
    ]
    with Store.open(settings) as store:
        for place in order:
            store.commit([incoming(exams[place])])
        found = dict(store.sql("SELECT study_uid, size_method FROM studies"))
        assert found == {"1.1": "other_study", "1.2": "weight", "1.3": "age_band"}
        days = store.sql(
            "SELECT derived->'patient.water_equivalent_diameter_mm'->'inputs'"
            "->'days_to_other_study' FROM studies WHERE study_uid = '1.1'"
        )
        assert float(days[0][0]) == 30.0


def test_unlinked_patients_lend_nothing(store: Store) -> None:
    unknown = Patient(patient_key="k", is_linked=False, age_y=50.0)
    heavy = msgspec_replace(unknown, weight_kg=99.0)
    store.commit([incoming(exam("1.1", patient=unknown)), incoming(exam("1.2", patient=heavy))])
    assert dict(store.sql("SELECT study_uid, size_method FROM studies"))["1.1"] == "age_band"


SCANNER = Device(manufacturer="M", model="X", serial_number="S4711", station_name="CT1")


def of_device(study: str, key: str, **given: Any) -> Part:
    return exam(study, device=msgspec_replace(SCANNER, device_key=key, **given))


def test_one_unit_behind_changing_keys(store: Store) -> None:
    """The observer UID changed with the software; the serial number did not."""
    store.commit([incoming(of_device("1.1", "old", software_versions=("1",)))])
    store.commit([incoming(of_device("1.2", "new", software_versions=("2",), station_name="CT9"))])
    other = of_device("1.3", "else", serial_number="S4712")
    store.commit([incoming(other)])
    keys = dict(store.sql("SELECT study_uid, device_key FROM studies"))
    assert keys["1.1"] == keys["1.2"] != keys["1.3"]
    assert store.sql("SELECT count(*) FROM devices") == [(2,)]


def test_serials_that_tell_nothing_join_nothing(store: Store) -> None:
    for number, serial in enumerate(("0000", "12", "unknown", None)):
        for half in "ab":
            key = f"{number}{half}"
            store.commit([incoming(of_device(f"1.{number}.{half}", key, serial_number=serial))])
    assert store.sql("SELECT count(DISTINCT device_key) FROM studies") == [(8,)]


def test_a_person_joins_and_parts_units(store: Store) -> None:
    store.commit([incoming(of_device("1.1", "a", serial_number=None))])
    store.commit([incoming(of_device("1.2", "b", serial_number=None))])
    link = {"kind": "device_link", "subject": "b", "author": "mp"}
    store.decide(Decision(payload={"same_as": "a"}, **link))
    assert {k for (k,) in store.sql("SELECT device_key FROM studies")} == {"a"}
    store.decide(Decision(payload={"same_as": None}, **link))
    assert {k for (k,) in store.sql("SELECT device_key FROM studies")} == {"a", "b"}


def test_arrival_is_not_touched(store: Store) -> None:
    store.commit([incoming(exam("1.1"))])
    store.decide(mapping(ODD, "CT Chest"))
    assert store.sql("SELECT received_at, n_issues FROM part") == [(ARRIVED, 1)]
