"""Who the exam was of: read from the header, and kept out of every other text.

The part never holds an identifier; free texts that repeat one are cleaned, and their
wording goes to the identity record (DESIGN §4).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from msgspec.structs import replace

from dose_lib.dicom import tags as t
from dose_lib.dicom.elements import DataSet, shown
from dose_lib.dicom.reading import Reading
from dose_lib.dicom.sr import coded_item
from dose_lib.dicom.text import read_date
from dose_lib.keys import is_placeholder_id
from dose_lib.records import Code, Identity, OtherPatientId, Staff

REMOVED = "[removed]"
# Words of staff fields that name nobody; cleaning them out of texts would only harm.
_NAME_PARTS = re.compile(r"[\^=\\]")
_NOBODY = re.compile(r"(?i)(un)?known|nobody|none|removed|anon\w*|n/?a|x+|\W*")

ADMINISTERING = Code("113851", "DCM", "Irradiation Administering")
AUTHORIZING = Code("113850", "DCM", "Irradiation Authorizing")
PERFORMING = Code("121094", "DCM", "Performing")
_STAFF = (
    (t.OperatorsName, t.OperatorIdentificationSequence, ADMINISTERING),
    (t.PerformingPhysicianName, t.PerformingPhysicianIdentificationSequence, PERFORMING),
    (t.ReferringPhysicianName, t.ReferringPhysicianIdentificationSequence, None),
    (t.RequestingPhysician, 0, None),
    (t.PhysiciansOfRecord, 0, None),
    (t.NameOfPhysiciansReadingStudy, 0, None),
)


def requests_of(header: DataSet) -> tuple[DataSet, ...]:
    """Items that describe the request: of images, of reports, of MPPS."""
    return (
        *header.items(t.RequestAttributesSequence),
        *header.items(t.ReferencedRequestSequence),
        *header.items(t.ScheduledStepAttributesSequence),
    )


def read_identity(header: DataSet) -> Identity:
    """Identifiers of the patient and the exam; staff and texts are added when reading ends."""
    requests = requests_of(header)

    def first(tag: int) -> str | None:
        return header.text(tag) or next(filter(None, (r.text(tag) for r in requests)), None)

    born = read_date(header.text(t.PatientBirthDate))
    grouped = tuple(filter(None, (r.text(t.AccessionNumber) for r in requests)))
    return Identity(
        patient_id=header.text(t.PatientID),
        patient_id_issuer=_issuer(header),
        other_patient_ids=tuple(_other_ids(header)),
        patient_name=header.text(t.PatientName),
        birth_date=born.isoformat() if born else header.text(t.PatientBirthDate),
        patient_comments=header.text(t.PatientComments),
        accession_number=first(t.AccessionNumber),
        accession_issuer=_universal_id(header, t.IssuerOfAccessionNumberSequence),
        grouped_accession_numbers=tuple(dict.fromkeys(grouped)) if len(set(grouped)) > 1 else (),
        study_id=header.text(t.StudyID),
        requested_procedure_id=first(t.RequestedProcedureID),
        scheduled_step_id=first(t.ScheduledProcedureStepID),
        performed_step_id=header.text(t.PerformedProcedureStepID),
        admission_id=header.text(t.AdmissionID),
        patient_location=header.text(t.CurrentPatientLocation),
        placer_order_number=first(t.PlacerOrderNumberImagingServiceRequest),
        filler_order_number=first(t.FillerOrderNumberImagingServiceRequest),
    )


def _issuer(header: DataSet) -> str | None:
    return header.text(t.IssuerOfPatientID) or _universal_id(
        header, t.IssuerOfPatientIDQualifiersSequence
    )


def _universal_id(header: DataSet, tag: int) -> str | None:
    item = header.item(tag)
    if item is None:
        return None
    return item.text(t.UniversalEntityID) or item.text(t.LocalNamespaceEntityID)


def _other_ids(header: DataSet) -> Iterator[OtherPatientId]:
    for item in header.items(t.OtherPatientIDsSequence):
        yield OtherPatientId(id=item.text(t.PatientID), issuer=_issuer(item))
    for other in header.texts(t.OtherPatientIDs):
        yield OtherPatientId(id=other)


def header_staff(header: DataSet) -> Iterator[Staff]:
    """Persons that the header names, with the identifiers it gives for them."""
    for tag, id_tag, role in _STAFF:
        ids = [_person_id(item) for item in header.items(id_tag)] if id_tag else []
        for position, name in enumerate(header.texts(tag)):
            if name.strip("^= "):
                yield Staff(
                    staff_name=name,
                    staff_id=ids[position] if position < len(ids) else None,
                    staff_role_in_procedure=role,
                    staff_where=shown(tag),
                )


def _person_id(item: DataSet) -> str | None:
    codes = [coded_item(i)[1] for i in item.items(t.PersonIdentificationCodeSequence)]
    return codes[0].value if codes else None


def cleaner(identity: Identity, staffs: Iterable[Staff]) -> Callable[[str], str] | None:
    """A function that takes this patient's and the named staff's identifiers out of a text.

    None where the object holds none. A name is looked for component by component
    (family name, given name), an identifier and a birth date as a whole word.
    """
    words = set(_patient_words(identity))
    for staff in staffs:
        if not _NOBODY.fullmatch(staff.staff_name or ""):
            words |= set(_name_words(staff.staff_name, 4))
    if not words:
        return None
    longest_first = [(_folded(w), w) for w in sorted(words, key=lambda w: (-len(w), w))]

    def clean(text: str) -> str:
        folded_text = _folded(text)
        # A pattern is made only where it will match: most texts name nobody.
        found = [word for folded, word in longest_first if folded in folded_text]
        if not found:
            return text
        words_alone = r"(?<!\w)(?:" + "|".join(map(re.escape, found)) + r")(?!\w)"
        return re.sub(words_alone, REMOVED, text, flags=re.IGNORECASE)

    return clean


def _folded(text: str) -> str:
    """Without case; the Turkish letters i are one, as they are in patterns without case."""
    return text.casefold().replace("\u0307", "").replace("\u0131", "i")


def _patient_words(identity: Identity) -> Iterator[str]:
    yield from _name_words(identity.patient_name, 3)
    ids = [identity.patient_id, identity.accession_number, identity.admission_id]
    ids += [other.id for other in identity.other_patient_ids]
    ids += identity.grouped_accession_numbers
    for number in ids:
        if number and len(number) >= 4 and not is_placeholder_id(number):
            yield number
    if identity.birth_date and (born := read_date(identity.birth_date)):
        year, month, day = born.isoformat().split("-")
        yield from (f"{year}{month}{day}", f"{year}-{month}-{day}", f"{day}-{month}-{year}")
        yield from (f"{day}.{month}.{year}", f"{day}/{month}/{year}", f"{month}/{day}/{year}")


def _name_words(name: str | None, shortest: int) -> Iterable[str]:
    for part in _NAME_PARTS.split(name or ""):
        word = part.strip()
        # Two signs are a name in Chinese, Japanese and Korean; in Latin script a syllable.
        if len(word) >= (shortest if word.isascii() else 2) and not _NOBODY.fullmatch(word):
            yield word


def finish_identity(
    reading: Reading, identity: Identity, part_key: str, patient_key: str | None
) -> Identity:
    """The identity with the keys of its part, and with the staff and texts found on the way."""
    return replace(
        identity,
        part_key=part_key,
        patient_key=patient_key,
        staff=tuple(reading.staff),
        texts=tuple(reading.texts),
        **reading.identity,
    )


def united_identity(identities: Sequence[Identity]) -> Identity:
    """One identity of those of an object's parts: the first, with the staff and texts of all."""
    first, *others = identities
    if not others:
        return first
    content = ("prescription_id", "dispense_unit_id", "calibration_responsible")
    return replace(
        first,
        staff=tuple(dict.fromkeys(s for one in identities for s in one.staff)),
        texts=tuple(dict.fromkeys(x for one in identities for x in one.texts)),
        **{
            name: next(
                filter(None, (getattr(one, name) for one in identities)), getattr(first, name)
            )
            for name in content
        },
    )
