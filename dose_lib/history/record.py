"""An exam of an export as bytes, kept like a received object: readable, and the same each time.

So an imported exam takes the way of every object: spool, store, archive. What is in the
archive makes the store again, and one exam can be forgotten without the others.
"""

from __future__ import annotations

import zlib

import msgspec
from msgspec.structs import replace

from dose_lib import keys
from dose_lib.dicom.identity import ADMINISTERING, PERFORMING
from dose_lib.errors import ReadError
from dose_lib.history.exam import HistoryExam
from dose_lib.records import Code, Identity, Part, Staff

_MAGIC = b"DOSELOOP HISTORY 1\n"
_DECODER = msgspec.json.Decoder(HistoryExam)


def write_exam(exam: HistoryExam) -> bytes:
    """An exam as bytes; the same exam of the same file always gives the same."""
    return _MAGIC + zlib.compress(msgspec.json.encode(exam, order="deterministic"), level=1)


def is_exam(data: bytes) -> bool:
    """True for bytes that `write_exam` made."""
    return data.startswith(_MAGIC)


def load_exam(data: bytes) -> HistoryExam:
    """The exam that `write_exam` kept.

    Raises
    ------
    ReadError
        If the bytes are damaged.
    """
    try:
        return _DECODER.decode(zlib.decompress(data[len(_MAGIC) :]))
    except (zlib.error, msgspec.DecodeError) as error:
        raise ReadError(
            f"an exam of an export is damaged ({error})", todo="Import the export again"
        ) from None


def read_exam_bytes(
    data: bytes, *, site_key: bytes | None = None
) -> tuple[tuple[Part, ...], Identity]:
    """Part and identity of a kept exam, as `dose_lib.read_bytes` returns them for an object.

    Parameters
    ----------
    data
        What `write_exam` made.
    site_key
        Gives patient and staff their keys; without it they have none.

    Raises
    ------
    ReadError
        If the bytes are damaged.
    """
    exam = load_exam(data)
    if site_key is None:
        return (exam.part,), exam.identity
    who, part = exam.identity, exam.part
    key, is_linked = keys.patient_key(
        site_key, who.patient_id, who.patient_id_issuer, part.study_uid
    )
    staff = tuple(
        replace(s, staff_key=keys.staff_key(site_key, s.staff_name, s.staff_id)) for s in who.staff
    )
    part = replace(
        part,
        patient=replace(part.patient, patient_key=key, is_linked=is_linked),
        operator_keys=_keys_of(staff, ADMINISTERING),
        physician_keys=_keys_of(staff, PERFORMING),
    )
    return (part,), replace(who, patient_key=key, staff=staff)


def _keys_of(staff: tuple[Staff, ...], role: Code) -> tuple[str, ...]:
    found = (s.staff_key for s in staff if s.staff_role_in_procedure == role)
    return tuple(dict.fromkeys(k for k in found if k))
