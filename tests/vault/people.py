"""Entries for the tests of the vault: people who do not exist, easy to find again."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

from dose_lib.records import Code, IdentifyingText, Identity, OtherPatientId, Staff
from dose_lib.vault import VaultEntry
from dose_lib.vault.people import Person, Role
from tests.privacy import Planted

START = datetime(2026, 5, 4, 8, 0, tzinfo=UTC)
WHY = "protocol review"

ADMIN = Person(name="A. Admin", role=Role.ADMIN, os_user="admin", pid=1)
PHYSICIST = Person(name="P. Physicist", role=Role.PHYSICIST, os_user="phys", pid=2)
RADIOGRAPHER = Person(name="R. Radiographer", role=Role.RADIOGRAPHER, os_user="radio", pid=3)
NOBODY = Person(name="nobody", role=Role.NONE, os_user="nobody", pid=4)

# What must be found nowhere outside the vault.
PLANTED = Planted(
    names=["Quillfeather^Ottoline", "Marchbanks^Thaddeus"],
    ids=["PZ-778-341", "NHS-4444-1212", "ACC-90210-X", "SID-55512", "PLACER-8181", "WARD-QZ9"],
    dates=["1961-03-04"],
)


def key(kind: str, number: int) -> str:
    """A key of the right length: patient 64, part 20, staff 16 digits."""
    length = {"patient": 64, "part": 20, "staff": 16}[kind]
    return hashlib.sha256(f"{kind} {number}".encode()).hexdigest()[:length]


PATIENT, PART, STAFF = key("patient", 1), key("part", 1), key("staff", 1)


def entry(
    number: int = 1,
    *,
    patient: int = 1,
    operator: int = 1,
    day: float = 0,
    exam_day: float | None = None,
    **changes: object,
) -> VaultEntry:
    """The identities of object `number` of a patient, received on a day."""
    known: dict[str, object] = {
        "part_key": key("part", number),
        "patient_key": key("patient", patient),
        "patient_id": "PZ-778-341" if patient == 1 else f"ID{patient:05d}",
        "patient_id_issuer": "HOSP",
        "other_patient_ids": (OtherPatientId(id="NHS-4444-1212", issuer="NHS"),)
        if patient == 1
        else (),
        "patient_name": "Quillfeather^Ottoline" if patient == 1 else f"Family{patient}^Given",
        "birth_date": "1961-03-04",
        "accession_number": "ACC-90210-X" if number == 1 else f"ACC{number:05d}",
        "grouped_accession_numbers": ("ACC-90210-X",) if number == 1 else (),
        "study_id": "SID-55512" if number == 1 else None,
        "placer_order_number": "PLACER-8181" if number == 1 else None,
        "patient_location": "WARD-QZ9",
        "staff": (
            Staff(
                staff_key=key("staff", operator),
                staff_name="Marchbanks^Thaddeus" if operator == 1 else f"Staff{operator}^Given",
                staff_id=f"E{operator:03d}",
                staff_role_in_procedure=Code(value="113851", scheme="DCM", meaning="Operator"),
                staff_where="1.2.3",
            ),
            Staff(staff_name=None, staff_organization="Locum agency"),
        ),
        "texts": (IdentifyingText(where="1.4", text="repeat for Quillfeather"),),
    }
    received = START + timedelta(days=day)
    occurred = received if exam_day is None else START + timedelta(days=exam_day)
    identity = Identity(**{**known, **changes})  # type: ignore[arg-type]
    return VaultEntry(
        sha256=hashlib.sha256(f"object {number}".encode()).hexdigest(),
        received_at=received,
        identity=identity,
        part_keys=(identity.part_key or key("part", number),),
        occurred_at=occurred,
    )


class Clock:
    """A clock that the test moves."""

    def __init__(self, day: float = 10) -> None:
        self.day = day
        self._ticks = 0

    def __call__(self) -> datetime:
        """The time; never twice the same."""
        self._ticks += 1
        return START + timedelta(days=self.day, microseconds=self._ticks)
