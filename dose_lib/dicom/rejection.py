"""Rejection notes: key object selections that say which objects are to be used no more.

IHE Imaging Object Change Management (RAD TF-1 §4.6, RAD-66): the document title is the
reason, the evidence sequence names the objects.
"""

from __future__ import annotations

from dose_lib.dicom import tags as t
from dose_lib.dicom.elements import DataSet
from dose_lib.dicom.encoding import open_bytes
from dose_lib.dicom.identify import head_of
from dose_lib.errors import NoDoseError
from dose_lib.records import Rejection, RejectionReason

KEY_OBJECT_SELECTION = "1.2.840.10008.5.1.4.1.1.88.59"

# DCM codes of CID 7011 that reject (PS3.16); the others select.
_REASONS = {r.value: r for r in RejectionReason}


def read_rejection(data: bytes) -> Rejection:
    """What a rejection note rejects.

    Parameters
    ----------
    data
        A key object selection, in any transfer syntax.

    Raises
    ------
    NoDoseError
        If the object is none, selects instead of rejecting, or names no objects.
    NotDicomError, TruncatedError, ReadError
        If it cannot be read.
    """
    opened = open_bytes(data)
    header, head = opened.data_set, head_of(opened)
    if head.sop_class != KEY_OBJECT_SELECTION:
        raise NoDoseError("no key object selection")
    title = header.item(t.ConceptNameCodeSequence)
    code = title.text(t.CodeValue) if title else None
    reason = _REASONS.get(code or "")
    if reason is None or title is None or title.text(t.CodingSchemeDesignator) != "DCM":
        shown = title.text(t.CodeMeaning) if title else None
        raise NoDoseError(f"a key object selection that rejects nothing ({shown or 'no title'})")
    studies = header.items(t.CurrentRequestedProcedureEvidenceSequence)
    objects = tuple(dict.fromkeys(uid for study in studies for uid in _objects(study)))
    if not objects:
        raise NoDoseError("a rejection note that names no objects")
    named = tuple(dict.fromkeys(s.text(t.StudyInstanceUID) for s in studies))
    return Rejection(
        reason=reason,
        sop_instance_uids=objects,
        study_uids=tuple(uid for uid in named if uid is not None),
    )


def _objects(study: DataSet) -> list[str]:
    return [
        uid
        for series in study.items(t.ReferencedSeriesSequence)
        for item in series.items(t.ReferencedSOPSequence)
        if (uid := item.text(t.ReferencedSOPInstanceUID))
    ]
