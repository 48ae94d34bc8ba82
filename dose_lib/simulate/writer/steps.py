"""Modality performed procedure steps: what a unit says when an exam starts and when it ends.

The first message (N-CREATE) names the exam, the second (N-SET) what was done, with the totals
of the radiation dose module; the module is retired and still sent (PS3.3 C.4.13 to C.4.16,
PS3.4 F.7, dicom_dose §1.3).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from dose_lib.records import (
    Code,
    CtAcquisitionType,
    CtEvent,
    Identity,
    Part,
    Phantom,
    StepStatus,
    XRayEvent,
)
from dose_lib.simulate.uids import derive_uid
from dose_lib.simulate.writer.codes import dcm
from dose_lib.simulate.writer.document import PERFORMED_STEP, Header
from dose_lib.simulate.writer.encode import codec, decimal_string, encode, part10
from dose_lib.simulate.writer.people import ADMINISTERING, AUTHORIZING, of_role
from dose_lib.simulate.writer.tree import code_item, da, tm

_CHARSET = "ISO_IR 100"
_TYPES = {
    CtAcquisitionType.SPIRAL: "SPIRAL",
    CtAcquisitionType.SEQUENCED: "SEQUENCED",
    CtAcquisitionType.CONSTANT_ANGLE: "CONSTANT_ANGLE",
    CtAcquisitionType.STATIONARY: "STATIONARY",
}
_PHANTOMS = {Phantom.HEAD_16CM: dcm("113690"), Phantom.BODY_32CM: dcm("113691")}


# Why a step was broken off (CID 9300); a completed one has no reason.
_UNSPECIFIED = code_item(
    Code("110513", "DCM", "Discontinued for unspecified reason"), codec(_CHARSET)
)[8:]
_END: dict[StepStatus, Header] = {
    StepStatus.COMPLETED: {0x00400252: ("CS", "COMPLETED")},
    StepStatus.DISCONTINUED: {
        0x00400252: ("CS", "DISCONTINUED"),
        0x00400281: ("SQ", [_UNSPECIFIED]),
    },
}


def step_uid(part: Part) -> str:
    """UID of the step an exam part was made in."""
    known = part.performed_step_uids
    return known[0] if known else derive_uid("step", part.study_uid)


def write_step(part: Part, identity: Identity, status: StepStatus) -> bytes:
    """One message of a performed procedure step, as a DICOM file.

    Parameters
    ----------
    part, identity
        The record and who it is of.
    status
        In progress: what N-CREATE says at the start; else what N-SET says at the end, when the
        exam was completed, or discontinued after the exposures of the record.
    """
    if status is StepStatus.IN_PROGRESS:
        header = _beginning(part, identity)
    else:
        header = _ending(part, identity) | _END[status]
    present = {tag: entry for tag, entry in header.items() if entry[1] is not None}
    sender = part.device.station_ae_title or "SIM"
    return part10(PERFORMED_STEP, step_uid(part), encode(present, _CHARSET), source_ae=sender)


def _beginning(part: Part, identity: Identity) -> Header:
    device, started = part.device, part.started_at or datetime(2000, 1, 1)
    request: Header = {
        0x00080050: ("SH", identity.accession_number or ""),
        0x00081110: ("SQ", []),
        0x0020000D: ("UI", part.study_uid),
        0x00321060: ("LO", part.study_description or ""),
        0x00400007: ("LO", ""),
        0x00400008: ("SQ", []),
        0x00400009: ("SH", ""),
        0x00401001: ("SH", ""),
    }
    return {
        0x00080005: ("CS", _CHARSET),
        0x00080060: ("CS", part.modality.value),
        0x00081032: ("SQ", []),
        0x00081120: ("SQ", []),
        0x00100010: ("PN", identity.patient_name or ""),
        0x00100020: ("LO", identity.patient_id or ""),
        0x00100021: ("LO", identity.patient_id_issuer),
        0x00100030: ("DA", (identity.birth_date or "").replace("-", "")),
        0x00100040: ("CS", part.patient.sex.value if part.patient.sex else ""),
        0x00200010: ("SH", identity.study_id or ""),
        0x00400241: ("AE", device.station_ae_title or ""),
        0x00400242: ("SH", device.station_name or ""),
        0x00400243: ("SH", ""),
        0x00400244: ("DA", da(started)),
        0x00400245: ("TM", tm(started)),
        0x00400250: ("DA", ""),
        0x00400251: ("TM", ""),
        0x00400252: ("CS", "IN PROGRESS"),
        0x00400253: ("SH", identity.study_id or "1"),
        0x00400254: ("LO", part.study_description or ""),
        0x00400255: ("LO", ""),
        0x00400260: ("SQ", []),
        0x00400270: ("SQ", [request]),
        0x00400340: ("SQ", []),
    }


def _ending(part: Part, identity: Identity) -> Header:
    ended = part.ended_at or part.started_at or datetime(2000, 1, 1)
    totals = part.totals
    exposures: list[Header] = []
    for event in part.events:
        item = _ct(event) if isinstance(event, CtEvent) else _xray(event)
        exposures.append({k: v for k, v in item.items() if v[1] is not None})
    return {
        0x0018115E: ("DS", _decimal(totals.kap_gy_cm2, 10.0)),
        0x00400250: ("DA", da(ended)),
        0x00400251: ("TM", tm(ended)),
        0x00400300: ("US", _count(totals.fluoro_time_s)),
        0x00400301: ("US", _count(totals.n_exposures)),
        0x0040030E: ("SQ", exposures or None),
        0x00400340: ("SQ", [_series(part, identity)]),
    }


def _series(part: Part, identity: Identity) -> Header:
    def names(role: Any) -> list[str] | str:
        return [s.staff_name for s in of_role(identity, role) if s.staff_name] or ""

    return {
        0x00080054: ("AE", ""),
        0x0008103E: ("LO", ""),
        0x00081050: ("PN", names(AUTHORIZING)),
        0x00081070: ("PN", names(ADMINISTERING)),
        0x00081140: ("SQ", []),
        0x00181030: ("LO", part.protocol_names[-1] if part.protocol_names else "UNKNOWN"),
        0x0020000E: ("UI", derive_uid("series", part.study_uid, "images")),
        0x00400220: ("SQ", []),
    }


def _ct(event: CtEvent) -> Header:
    source = event.sources[0] if event.sources else None
    phantom = _PHANTOMS.get(event.phantom) if event.phantom else None
    code = None if phantom is None else [code_item(phantom, codec(_CHARSET))[8:]]
    kind = event.acquisition_type
    milliseconds = event.exposure_time_s and round(event.exposure_time_s * 1e3)
    return {
        0x00180060: ("DS", _decimal(source.kvp_kv if source else None)),
        0x00181150: ("IS", None if milliseconds is None else str(milliseconds)),
        0x00188151: ("DS", _decimal(source.tube_current_ma if source else None, 1e3)),
        0x0018115A: ("CS", "CONTINUOUS"),
        0x00189302: ("CS", _TYPES.get(kind) if kind else None),
        0x00189306: ("FD", event.nominal_single_collimation_mm),
        0x00189307: ("FD", event.nominal_total_collimation_mm),
        0x00189311: ("FD", event.pitch),
        0x00189345: ("FD", event.ctdi_vol_mgy),
        0x00189346: ("SQ", code),
    }


def _xray(event: XRayEvent) -> Header:
    time = event.exposure_time_ms
    return {
        0x00180060: ("DS", _decimal(event.kvp_kv)),
        0x00181150: ("IS", None if time is None else str(round(time))),
        0x00188151: ("DS", _decimal(event.tube_current_ma, 1e3)),
        0x0018115A: ("CS", "PULSED" if event.pulse_rate_hz else "CONTINUOUS"),
        0x0018115E: ("DS", _decimal(event.kap_gy_cm2, 10.0)),
    }


def _decimal(value: float | None, factor: float = 1.0) -> str | None:
    return None if value is None else decimal_string(float(f"{value * factor:.12g}"))


def _count(value: float | None) -> int | None:
    """A whole number of 16 bits."""
    return None if value is None else min(65535, round(value))
