"""Whose an object is, by its pseudonymous key alone: for objects that no reader takes."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

from dose_lib import keys
from dose_lib.dicom import tags as t
from dose_lib.dicom.encoding import open_bytes
from dose_lib.dicom.identity import read_identity
from dose_lib.errors import DoseError

if TYPE_CHECKING:
    from pydicom import Dataset


def patient_key_of(data: bytes, site_key: bytes) -> str | None:
    """Key of the patient that an object names in its header, be it damaged further on.

    Parameters
    ----------
    data
        The object, in any transfer syntax.
    site_key
        Secret behind the keys.

    Returns
    -------
    str or None
        None where the header cannot be read, or names nobody.
    """
    try:
        who = read_identity(open_bytes(data).data_set)
        patient_id, issuer = who.patient_id, who.patient_id_issuer
    except DoseError:
        patient_id, issuer = _from_beginning(data)
    key, is_linked = keys.patient_key(site_key, patient_id, issuer, "")
    return key if is_linked else None


def _from_beginning(data: bytes) -> tuple[str | None, str | None]:
    """Patient ID and issuer, as far as an object can be read before its damage."""
    from pydicom.filereader import read_partial

    try:
        header: Dataset = read_partial(
            BytesIO(data), stop_when=lambda tag, _vr, _n: tag > t.IssuerOfPatientID, force=True
        )
        return header.get("PatientID"), header.get("IssuerOfPatientID")
    except (ValueError, KeyError, AttributeError, EOFError, OSError, NotImplementedError):
        return None, None
