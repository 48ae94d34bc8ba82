"""Images whose headers carry dose: small objects of the classes that devices send.

The picture is one grey pixel or two; the header is what a dose monitor reads (PS3.3 C.8.7.8,
C.8.9.2, C.8.11, dicom_dose §1.2).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from dose_lib.errors import SimulationError
from dose_lib.records import Identity, Laterality, Modality, Part, XRayEvent
from dose_lib.simulate.uids import derive_uid
from dose_lib.simulate.writer.document import Header, age_string, performed_steps
from dose_lib.simulate.writer.encode import decimal_string, encode, part10
from dose_lib.simulate.writer.people import ADMINISTERING, of_role
from dose_lib.simulate.writer.tree import da, tm

_CHARSET = "ISO_IR 100"
_CLASSES = {
    Modality.DX: "1.2.840.10008.5.1.4.1.1.1.1",
    Modality.MG: "1.2.840.10008.5.1.4.1.1.1.2",
    Modality.NM: "1.2.840.10008.5.1.4.1.1.20",
    Modality.PT: "1.2.840.10008.5.1.4.1.1.128",
}
_ANODES = {"26194003": "TUNGSTEN", "71128006": "MOLYBDENUM", "59801003": "RHODIUM"}
_FILTERS = {
    "59801003": "RHODIUM",
    "41967008": "SILVER",
    "12503006": "ALUMINUM",
    "71128006": "MOLYBDENUM",
}
_VIEWS = {
    "399162004": "CC",
    "399368009": "MLO",
    "399348003": "AP",
    "272479007": "PA",
    "399067008": "LL",
}
_SIDES = {Laterality.LEFT: "L", Laterality.RIGHT: "R", Laterality.BOTH: "B"}
_MBQ_TO_BQ = 1e6


def image_class(part: Part) -> str:
    """SOP class of the images of a part.

    Raises
    ------
    SimulationError
        If no image is written for its modality.
    """
    if part.modality not in _CLASSES:
        raise SimulationError(f"no image can be written for modality {part.modality.value}")
    return _CLASSES[part.modality]


def write_image(
    part: Part, identity: Identity, n: int = 0, sop_instance: str | None = None
) -> bytes:
    """One image of a part as a DICOM file: its n-th event or administration in the header.

    Parameters
    ----------
    part, identity
        The record and who it is of.
    n
        Which event or administration.
    sop_instance
        SOP Instance UID; derived where it is not given.

    Raises
    ------
    SimulationError
        If no image is written for the modality.
    """
    sop_class = image_class(part)
    sop = sop_instance or derive_uid("image", part.study_uid, n)
    header = _general(part, identity, n)
    header[0x00080016] = ("UI", sop_class)
    header[0x00080018] = ("UI", sop)
    if part.modality in (Modality.NM, Modality.PT):
        header |= _nuclear(part, n)
    else:
        event = part.events[n]
        if isinstance(event, XRayEvent):
            header |= _projection(event)
            header |= _mammographic(event) if part.modality is Modality.MG else _radiographic(event)
    header |= _pixels(part)
    present = {tag: entry for tag, entry in header.items() if entry[1] is not None}
    return part10(sop_class, sop, encode(present, _CHARSET), source_ae="SIM")


def _general(part: Part, identity: Identity, n: int) -> Header:
    patient, device = part.patient, part.device
    started = part.started_at or datetime(2000, 1, 1)
    event = part.events[n] if n < len(part.events) else None
    acquired = (event.started_at if event else None) or started
    operators = [s.staff_name for s in of_role(identity, ADMINISTERING) if s.staff_name]
    return {
        0x00080005: ("CS", _CHARSET),
        0x00080008: ("CS", ["ORIGINAL", "PRIMARY"]),
        0x00080020: ("DA", da(started)),
        0x00080021: ("DA", da(started)),
        0x00080022: ("DA", da(acquired)),
        0x00080023: ("DA", da(acquired)),
        0x00080030: ("TM", tm(started)),
        0x00080031: ("TM", tm(started)),
        0x00080032: ("TM", tm(acquired)),
        0x00080033: ("TM", tm(acquired)),
        0x00080050: ("SH", identity.accession_number or ""),
        0x00080060: ("CS", part.modality.value),
        0x00080070: ("LO", device.manufacturer or ""),
        0x00080080: ("LO", device.institution_name),
        0x00080090: ("PN", ""),
        0x00081010: ("SH", device.station_name),
        0x00081030: ("LO", part.study_description),
        0x00081070: ("PN", operators or None),
        0x00081090: ("LO", device.model),
        0x00081111: ("SQ", performed_steps(part) or None),
        0x00100010: ("PN", identity.patient_name or ""),
        0x00100020: ("LO", identity.patient_id or ""),
        0x00100021: ("LO", identity.patient_id_issuer),
        0x00100030: ("DA", (identity.birth_date or "").replace("-", "")),
        0x00100040: ("CS", patient.sex.value if patient.sex else ""),
        0x00101010: ("AS", None if patient.age_y is None else age_string(patient.age_y)),
        0x00101020: ("DS", _decimal(patient.height_cm, 0.01)),
        0x00101030: ("DS", _decimal(patient.weight_kg)),
        0x00181000: ("LO", device.serial_number),
        0x00181002: ("UI", device.device_uid),
        0x00181020: ("LO", list(device.software_versions) or None),
        0x00181030: ("LO", _protocol(part, event)),
        0x0020000D: ("UI", part.study_uid),
        0x0020000E: ("UI", derive_uid("series", part.study_uid, "images")),
        0x00200010: ("SH", identity.study_id or ""),
        0x00200011: ("IS", "1"),
        0x00200013: ("IS", str(n + 1)),
    }


def _protocol(part: Part, event: Any) -> str | None:
    own = event.acquisition_protocol if event is not None else None
    return own or (part.protocol_names[-1] if part.protocol_names else None)


def _decimal(value: float | None, factor: float = 1.0) -> str | None:
    return None if value is None else decimal_string(float(f"{value * factor:.12g}"))


def _integer(value: float | None, factor: float = 1.0) -> str | None:
    return None if value is None else str(round(value * factor))


def _projection(event: XRayEvent) -> Header:
    """Technique of one exposure (PS3.3 C.8.7.2, C.8.11)."""
    return {
        0x00083010: ("UI", event.event_uid),
        0x00180060: ("DS", _decimal(event.kvp_kv)),
        0x00181110: ("DS", _decimal(event.sid_mm)),
        0x00181150: ("IS", _integer(event.exposure_time_ms)),
        0x00181151: ("IS", _integer(event.tube_current_ma)),
        0x00181152: ("IS", _integer(event.exposure_mas)),
        0x00181153: ("IS", _integer(event.exposure_mas, 1e3)),
        0x00181190: ("DS", _decimal(event.focal_spot_mm)),
        0x00185101: ("CS", _VIEWS.get(event.view.value or "") if event.view else None),
    }


def _radiographic(event: XRayEvent) -> Header:
    """Kerma-area product in dGy·cm² and exposure indices (IEC 62494-1)."""
    return {
        0x00080068: ("CS", "FOR PRESENTATION"),
        0x0018115E: ("DS", _decimal(event.kap_gy_cm2, 10.0)),
        0x00181411: ("DS", _decimal(event.exposure_index)),
        0x00181412: ("DS", _decimal(event.target_exposure_index)),
        0x00181413: ("DS", _decimal(event.deviation_index)),
    }


def _mammographic(event: XRayEvent) -> Header:
    """Organ dose in dGy, entrance dose in mGy, compression (PS3.3 C.8.11.7)."""
    anode = _ANODES.get(event.anode_target.value or "") if event.anode_target else None
    material = event.filters[0].material if event.filters else None
    return {
        0x00080068: ("CS", "FOR PRESENTATION"),
        0x001811A0: ("DS", _decimal(event.compressed_thickness_mm)),
        0x00181191: ("CS", anode),
        0x00187050: ("CS", _FILTERS.get(material.value or "") if material else None),
        0x00200062: ("CS", _SIDES.get(event.laterality) if event.laterality else None),
        0x00400316: ("DS", _decimal(event.agd_mgy, 0.01)),
        0x00408302: ("DS", _decimal(event.ka_i_mgy)),
        0x00400314: ("DS", _decimal(event.half_value_layer_mm)),
    }


def _nuclear(part: Part, n: int) -> Header:
    """Radiopharmaceutical information: Bq in PET, MBq in nuclear medicine."""
    admin = part.administrations[n]
    factor = _MBQ_TO_BQ if part.modality is Modality.PT else 1.0
    agent, nuclide = admin.radiopharmaceutical, admin.radionuclide
    started = admin.started_at
    item: Header = {
        0x00180031: ("LO", agent.meaning if agent else None),
        0x00181072: ("TM", tm(started) if started else None),
        0x00181074: ("DS", _decimal(admin.administered_activity_mbq, factor)),
        0x00181075: ("DS", _decimal(admin.half_life_s)),
        0x00083012: ("UI", admin.administration_uid if part.modality is Modality.PT else None),
    }
    if nuclide is not None:
        code: Header = {
            0x00080100: ("SH", nuclide.value),
            0x00080102: ("SH", nuclide.scheme),
            0x00080104: ("LO", nuclide.meaning),
        }
        item[0x00540300] = ("SQ", [code])
    present = {tag: entry for tag, entry in item.items() if entry[1] is not None}
    header: Header = {0x00540016: ("SQ", [present])}
    if part.modality is Modality.PT:
        header |= {
            0x00541000: ("CS", ["WHOLE BODY", "IMAGE"]),
            0x00541001: ("CS", "BQML"),
            0x00541102: ("CS", "START"),
        }
    return header


def _pixels(part: Part) -> Header:
    frames: Header = {0x00280008: ("IS", "1")} if part.modality is not Modality.PT else {}
    return frames | {
        0x00280002: ("US", 1),
        0x00280004: ("CS", "MONOCHROME2"),
        0x00280010: ("US", 1),
        0x00280011: ("US", 2),
        0x00280100: ("US", 16),
        0x00280101: ("US", 12),
        0x00280102: ("US", 11),
        0x00280103: ("US", 0),
        0x7FE00010: ("OW", b"\x10\x02\x20\x02"),
    }
