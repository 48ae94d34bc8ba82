"""Keys: stable names for devices, exam parts and, pseudonymously, for people."""

from __future__ import annotations

import hashlib
import hmac
import re

from dose_lib.records import Device

# What modalities and PACS write where no ID is known; such patients are never joined.
_PLACEHOLDER = re.compile(
    r"^(0+|1234\d*|9{4,}|x+|-+|\?+|\.+|n/?a|none|null|nil|unknown|unk|unbekannt|inconnu|noid|no\s?id"
    r"|anon(ymous|ymi[sz]ed)?|emergency|trauma|test|dummy|patient(\s?id)?)$",
    re.IGNORECASE,
)


def _digest(*words: str | None) -> str:
    return hashlib.sha256("\x1f".join(w or "" for w in words).encode()).hexdigest()


def normalise_id(text: str | None) -> str:
    """An identifier without surrounding and repeated white space, in upper case."""
    return " ".join((text or "").split()).upper()


def is_placeholder_id(patient_id: str | None) -> bool:
    """True for an empty ID and for words that stand for "not known"."""
    text = normalise_id(patient_id)
    return not text or _PLACEHOLDER.match(text) is not None


def device_key(device: Device, *, trust_observer_uid: bool = True) -> str | None:
    """Key of the physical unit: 16 hexadecimal digits, None if nothing identifies it.

    The first that is there of: device observer UID, device UID, maker + model + serial
    number, maker + model + station name (reference: dicom_dose §2, TID 1004).

    Parameters
    ----------
    device
        The device as read.
    trust_observer_uid
        False where the observer UID is known to change with each exam or to repeat a
        UID of the exam (GE OEC Fluorostar).
    """
    if trust_observer_uid and device.device_observer_uid:
        return _digest("uid", device.device_observer_uid)[:16]
    if device.device_uid:
        return _digest("uid", device.device_uid)[:16]
    unit = device.serial_number or device.station_name
    if unit is None:
        return None
    kind = "serial" if device.serial_number else "station"
    words = [normalise_id(w) for w in (device.manufacturer, device.model, unit)]
    return _digest(kind, *words)[:16]


def part_key(study_uid: str, device: str | None, modality: str) -> str:
    """Key of one exam part: 20 hexadecimal digits of (study, device key, modality class)."""
    return _digest("part", study_uid, device, modality)[:20]


def patient_key(
    site_key: bytes, patient_id: str | None, issuer: str | None, study_uid: str
) -> tuple[str, bool]:
    """Pseudonymous key of a patient, and whether it links studies.

    HMAC-SHA256(site key, issuer | normalised ID). An empty or placeholder ID gives a key
    made from the Study UID and False, so that unknown patients never become one.
    """
    linked = not is_placeholder_id(patient_id)
    words = (normalise_id(issuer), normalise_id(patient_id)) if linked else ("study", study_uid)
    return _sign(site_key, "patient", *words), linked


def study_key(site_key: bytes, study_uid: str) -> str:
    """Pseudonym of a study, for lists that leave the house: 12 hexadecimal digits."""
    return _sign(site_key, "study", study_uid)[:12]


def staff_key(site_key: bytes, name: str | None, staff_id: str | None = None) -> str | None:
    """Pseudonymous key of a member of staff, by ID where one was sent, else by name."""
    text = normalise_id(staff_id) or normalise_id((name or "").replace("^", " "))
    return _sign(site_key, "staff", text)[:16] if text else None


def _sign(site_key: bytes, *words: str) -> str:
    return hmac.new(site_key, "|".join(words).encode(), hashlib.sha256).hexdigest()
