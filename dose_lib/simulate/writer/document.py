"""The document around the content: header of a dose report, as a DICOM file (PS3.3 A.35.8)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from dose_lib.records import Code, Identity, Part, SourceObject
from dose_lib.simulate.uids import derive_uid
from dose_lib.simulate.writer.codes import dcm
from dose_lib.simulate.writer.dialect import Dialect
from dose_lib.simulate.writer.encode import codec, element, encode, part10
from dose_lib.simulate.writer.people import ADMINISTERING, AUTHORIZING, of_role
from dose_lib.simulate.writer.tree import Encoder, Items, code_item, da, tm

Header = dict[int, tuple[str, Any]]
PERFORMED_STEP = "1.2.840.10008.3.1.2.3.3"
# Weeks and days in a year, for ages of infants.
_MONTHS, _WEEKS, _DAYS = 12, 365.25 / 7, 365.25


def age_string(age_y: float) -> str:
    """An age as AS: years where it is whole years, else the coarsest unit that is exact.

    Examples
    --------
    >>> age_string(45.0), age_string(0.25), age_string(3 * 7 / 365.25)
    ('045Y', '003M', '003W')
    """
    for unit, per_year in (("Y", 1), ("M", _MONTHS), ("W", _WEEKS), ("D", _DAYS)):
        number = age_y * per_year
        if abs(number - round(number)) < 1e-6 and round(number) <= 999:
            return f"{round(number):03d}{unit}"
    return f"{int(age_y):03d}Y"


def write_document(
    part: Part,
    identity: Identity,
    dialect: Dialect,
    items: Items,
    *,
    sop_class: str,
    template: str,
    root: str,
) -> bytes:
    """A dose report as a DICOM file.

    Parameters
    ----------
    part, identity
        Header values come from here and from the first of `part.sources`, if any.
    items
        Content of the root container.
    sop_class, template, root
        SOP class UID, template identifier and root concept.
    """
    source = part.sources[0] if part.sources else SourceObject()
    sop_instance = source.sop_instance_uid or derive_uid("sop", part.part_key, part.study_uid)
    header = report_header(part, identity, dialect, source)
    header[0x00080016] = ("UI", sop_class)
    header[0x00080018] = ("UI", sop_instance)
    encoding = codec(dialect.charset)
    concept = code_item(dialect.concept(dcm(root)), encoding)
    header[0x0040A040] = ("CS", "CONTAINER")
    header[0x0040A043] = ("SQ", [concept[8:]])
    header[0x0040A050] = ("CS", "SEPARATE")
    if dialect.has_template:
        header[0x0040A504] = ("SQ", [{0x00080105: ("CS", "DCMR"), 0x0040DB00: ("CS", template)}])
    content = Encoder(dialect).content(items, root)
    if evidence := _evidence(items, part):
        header[0x0040A375] = ("SQ", [evidence])
    # The content sequence has the highest tag of all, so it goes to the end, encoded already.
    body = encode(header, dialect.charset) + element(0x0040A730, "SQ", content)
    return part10(sop_class, sop_instance, body, source_ae=part.device.station_ae_title or "SIM")


def _evidence(items: Items, part: Part) -> Header | None:
    """Current requested procedure evidence (PS3.3 C.17.2.3): the images the content names."""
    images = [i.value for event in items for i in event.children if i.type == "IMAGE"]
    if not images:
        return None
    series: Header = {
        0x0020000E: ("UI", derive_uid("series", part.study_uid, "images")),
        0x00081199: (
            "SQ",
            [{0x00081150: ("UI", sop_class), 0x00081155: ("UI", sop)} for sop_class, sop in images],
        ),
    }
    return {0x0020000D: ("UI", part.study_uid), 0x00081115: ("SQ", [series])}


def report_header(part: Part, identity: Identity, dialect: Dialect, source: SourceObject) -> Header:
    """Patient, study, series, equipment and document modules."""
    written = source.content_at or part.ended_at or part.started_at or datetime(2000, 1, 1)
    started = part.started_at or written
    device = part.device
    header: Header = {
        0x00080005: ("CS", dialect.charset),
        0x00080020: ("DA", da(started)),
        0x00080021: ("DA", da(written)),
        0x00080023: ("DA", da(written)),
        0x00080030: ("TM", tm(started)),
        0x00080031: ("TM", tm(written)),
        0x00080033: ("TM", tm(written)),
        0x00080050: ("SH", identity.accession_number),
        0x00080060: ("CS", "SR"),
        0x00080070: ("LO", device.manufacturer),
        0x00080090: ("PN", None),
        0x00081111: ("SQ", performed_steps(part)),
        0x0020000D: ("UI", part.study_uid or None),
        0x0020000E: ("UI", source.series_uid or derive_uid("series", part.study_uid, "sr")),
        0x00200010: ("SH", identity.study_id),
        0x00200011: ("IS", str(source.series_number or dialect.series_number)),
        0x00200013: ("IS", "1"),
        0x0040A372: ("SQ", []),
        0x0040A491: ("CS", "COMPLETE" if source.is_complete is not False else "PARTIAL"),
        0x0040A493: ("CS", "UNVERIFIED"),
        **_patient(part, identity),
    }
    if dialect.charset is None:
        del header[0x00080005]
    optional: Header = {
        0x00080080: ("LO", device.institution_name),
        0x00080201: ("SH", started.strftime("%z") if started.tzinfo else None),
        0x00081010: ("SH", device.station_name),
        0x00081030: ("LO", part.study_description),
        0x0008103E: ("LO", source.series_description or dialect.series_description or None),
        0x00081040: ("LO", device.department),
        0x00081090: ("LO", device.model),
        0x00181000: ("LO", device.serial_number),
        0x00181002: ("UI", device.device_uid),
        0x00181020: ("LO", list(device.software_versions) or None),
        0x00321060: ("LO", part.requested_procedure and part.requested_procedure.meaning),
        0x00400254: ("LO", part.performed_procedure_step_description),
    }
    if dialect.has_modalities:
        optional[0x00080061] = ("CS", [part.modality.value, "SR"])
    if dialect.has_protocol_header and part.protocol_names:
        optional[0x00181030] = ("LO", part.protocol_names[-1])
    optional |= _people(identity, dialect)
    header |= {tag: entry for tag, entry in optional.items() if entry[1] is not None}
    _codes(header, part, codec(dialect.charset))
    return header


def performed_steps(part: Part) -> list[Header]:
    """References to the performed procedure steps the exam was made in (PS3.3 C.17.3)."""
    return [
        {0x00081150: ("UI", PERFORMED_STEP), 0x00081155: ("UI", uid)}
        for uid in part.performed_step_uids
    ]


def _patient(part: Part, identity: Identity) -> Header:
    patient = part.patient
    header: Header = {
        0x00100010: ("PN", identity.patient_name),
        0x00100020: ("LO", identity.patient_id),
        0x00100030: ("DA", (identity.birth_date or "").replace("-", "")),
        0x00100040: ("CS", patient.sex.value if patient.sex else None),
    }
    optional: Header = {
        0x00100021: ("LO", identity.patient_id_issuer),
        0x00101010: ("AS", None if patient.age_y is None else age_string(patient.age_y)),
        0x00101020: ("DS", None if patient.height_cm is None else f"{patient.height_cm / 100:.6g}"),
        0x00101030: ("DS", None if patient.weight_kg is None else f"{patient.weight_kg:.6g}"),
    }
    return header | {tag: entry for tag, entry in optional.items() if entry[1] is not None}


def _people(identity: Identity, dialect: Dialect) -> Header:
    operators = [s.staff_name for s in of_role(identity, ADMINISTERING) if s.staff_name]
    physicians = [s.staff_name for s in of_role(identity, AUTHORIZING) if s.staff_name]
    return {
        0x00081050: ("PN", physicians or None),
        0x00081070: ("PN", (operators or None) if dialect.has_operators_header else None),
    }


def _codes(header: Header, part: Part, encoding: str) -> None:
    def add(tag: int, code: Code | None) -> None:
        if code is not None and code.value is not None:
            header[tag] = ("SQ", [code_item(code, encoding)[8:]])

    add(0x00081032, part.procedure_code)
    add(0x00321064, part.requested_procedure)
