"""Keys: stable for devices and parts, pseudonymous for people."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dose_lib.keys import device_key, is_placeholder_id, part_key, patient_key, staff_key
from dose_lib.records import Device

KEY = b"site key of a test"


def test_the_same_patient_has_one_key_whatever_the_spacing_and_case() -> None:
    assert patient_key(KEY, " ab 12 ", "Trust", "1") == patient_key(KEY, "AB  12", "TRUST", "2")


def test_issuers_are_told_apart() -> None:
    assert patient_key(KEY, "12", "A", "1")[0] != patient_key(KEY, "12", "B", "1")[0]


@pytest.mark.parametrize("empty", ["", None, "0000", "UNKNOWN", "n/a", "---", "Anonymous"])
def test_unknown_patients_never_become_one(empty: str | None) -> None:
    first, linked = patient_key(KEY, empty, None, "1.2.1")
    assert not linked
    assert first != patient_key(KEY, empty, None, "1.2.2")[0]


@pytest.mark.parametrize("real", ["10002", "A0", "P-77", "X1", "ANON0042"])
def test_real_ids_are_no_placeholders(real: str) -> None:
    assert not is_placeholder_id(real)


@given(st.text(min_size=1, max_size=20), st.binary(min_size=1), st.binary(min_size=1))
def test_another_site_key_gives_another_pseudonym(name: str, one: bytes, two: bytes) -> None:
    first, second = staff_key(one, name), staff_key(two, name)
    if first is not None and one.rstrip(b"\0") != two.rstrip(b"\0"):
        assert first != second


def test_an_id_joins_two_spellings_of_a_name() -> None:
    assert staff_key(KEY, "ROE^R", "rr1") == staff_key(KEY, "Roe, Robin", "RR1")
    assert staff_key(KEY, "ROE^R") == staff_key(KEY, "Roe R")
    assert staff_key(KEY, None) is None


def test_device_identity_order() -> None:
    serial = Device(manufacturer="GE", model="CT1", serial_number="7", station_name="A")
    moved = Device(manufacturer="ge", model="ct1", serial_number="7", station_name="B")
    assert device_key(serial) == device_key(moved)
    assert device_key(Device(device_observer_uid="1.2", serial_number="7")) == device_key(
        Device(device_observer_uid="1.2", serial_number="8")
    )
    fluorostar = Device(device_observer_uid="1.2.9", manufacturer="GE", serial_number="7")
    other_exam = Device(device_observer_uid="1.2.10", manufacturer="GE", serial_number="7")
    assert device_key(fluorostar, trust_observer_uid=False) == device_key(
        other_exam, trust_observer_uid=False
    )
    assert device_key(Device(manufacturer="GE", model="CT1")) is None


def test_parts_of_one_study_differ_by_device_and_modality() -> None:
    keys = {part_key("1.2", d, m) for d in ("a", "b", None) for m in ("CT", "RF")}
    assert len(keys) == 6
