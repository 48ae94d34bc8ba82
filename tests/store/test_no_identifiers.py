"""The store holds no identifier: the bytes of its files are searched for planted ones."""

from __future__ import annotations

import zlib
from pathlib import Path

import msgspec

from dose_lib import keys
from dose_lib.errors import ReadError
from dose_lib.records import Identity, Patient, SourceObject, Staff
from dose_lib.settings import Settings
from dose_lib.store import Store, site_key
from tests.store.exams import ct_part, failed, incoming, merge, unchanged

NAME, PATIENT_ID, BIRTH, ACCESSION = "Kowalczyk^Zdzislawa", "PID-7788421", "19580417", "ACC9917263"
STAFF, STAFF_ID = "Oyelaran^Babatunde", "RG-55012"
PLANTED = [NAME, PATIENT_ID, BIRTH, ACCESSION, STAFF, STAFF_ID]
PLANTED += ["Kowalczyk", "Zdzislawa", "Oyelaran", "Babatunde"]


def store_bytes(settings: Settings) -> dict[Path, bytes]:
    files = [p for p in settings.home.rglob("*") if p.is_file()]
    assert any(p.suffix == ".duckdb" for p in files)
    return {p: p.read_bytes() for p in files}


def found(settings: Settings) -> list[tuple[str, str]]:
    return [
        (path.name, word)
        for path, content in store_bytes(settings).items()
        for word in PLANTED
        if word.encode() in content or word.encode("utf-16-le") in content
    ]


def test_no_identifier_is_in_file_or_log(settings: Settings) -> None:
    secret = site_key(settings)
    key, is_linked = keys.patient_key(secret, PATIENT_ID, None, "1.2.3")
    operator = keys.staff_key(secret, STAFF, STAFF_ID)
    assert operator is not None
    source = SourceObject(
        sop_instance_uid="1.2.3.9", file=f"/incoming/{NAME}_{PATIENT_ID}/{ACCESSION}.dcm"
    )
    part = ct_part(
        patient=Patient(patient_key=key, is_linked=is_linked, age_y=67.9),
        operator_keys=(operator,),
        sources=(source,),
    )
    identity = Identity(
        part_key=part.part_key,
        patient_key=key,
        patient_id=PATIENT_ID,
        patient_name=NAME,
        birth_date=BIRTH,
        accession_number=ACCESSION,
        staff=(Staff(staff_key=operator, staff_name=STAFF, staff_id=STAFF_ID),),
    )
    assert NAME not in repr(identity)
    with Store.open(settings, merge=merge, normalise=unchanged) as store:
        store.commit([incoming(part)])
        bad = ReadError("no known template", where=f"{NAME}.dcm", todo=f"ask {STAFF}")
        store.commit([failed(bad, 2)])
        in_wal = found(settings)
        store.checkpoint()
        in_file = found(settings)
        blobs = store.sql("SELECT record FROM reading UNION ALL SELECT trace FROM provenance")
        packed = b"".join(zlib.decompress(row[0]) for row in blobs)
        assert not [word for word in PLANTED if word.encode() in packed]
        assert store.sql("SELECT patient_key, operator_keys FROM studies") == [(key, [operator])]
    assert not in_wal
    assert not in_file
    assert not found(settings)


def test_the_search_would_find_one(settings: Settings) -> None:
    """Else finding nothing would prove nothing: blobs are compressed, text columns too."""
    part = msgspec.structs.replace(ct_part(), comment=f"seen with {NAME}")
    with Store.open(settings, merge=merge, normalise=unchanged) as store:
        store.commit([incoming(part)])
        assert found(settings)
        store.checkpoint()
    assert found(settings)
