"""Structured reports: which template holds the content, and its reading into a part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from dose_lib import codes as c
from dose_lib.dicom.ct import read_ct_event
from dose_lib.dicom.ct_totals import HANDLERS as CT_TOTAL_HANDLERS
from dose_lib.dicom.ct_totals import STATED as CT_STATED
from dose_lib.dicom.ct_totals import complete_ct_totals
from dose_lib.dicom.dialects import Maker, correct_tree
from dose_lib.dicom.elements import DataSet
from dose_lib.dicom.events import identify_events, in_order_of_start
from dose_lib.dicom.identify import ObjectHead, Report, choose_report
from dose_lib.dicom.observers import read_observers
from dose_lib.dicom.part import Content
from dose_lib.dicom.patient import read_characteristics
from dose_lib.dicom.reading import Fields, Reading
from dose_lib.dicom.report import read_root, template_of
from dose_lib.dicom.sr import Node, read_tree
from dose_lib.errors import ReadError
from dose_lib.records import Modality, SourceKind

_ENHANCED_SR = "1.2.840.10008.5.1.4.1.1.88.22"


class Sheet(NamedTuple):
    """A report being read: its tree and what its header says that the tree needs."""

    root: Node
    header: DataSet
    head: ObjectHead
    maker: Maker


def read_report(reading: Reading, header: DataSet, head: ObjectHead) -> Content:
    """Read a structured report.

    Raises
    ------
    NoDoseError
        If it is no dose report.
    """
    root = read_tree(header)
    template = template_of(header)
    report, by_content = choose_report(head, root, template)
    if by_content:
        reading.note("recognised_by_content", None, head.sop_class)
    maker = Maker(
        head.manufacturer or _observed(root, c.DEVICE_OBSERVER_MANUFACTURER.key),
        head.model or _observed(root, c.DEVICE_OBSERVER_MODEL_NAME.key),
    )
    correct_tree(reading, root, maker)
    observers = read_observers(reading, root)
    sheet = Sheet(root, header, head, maker)
    found = _READERS[report](reading, sheet)
    values = dict(found.values)
    dose_images = values.pop("_dose_images", ())
    patient = read_characteristics(reading, root.first(c.PATIENT_CHARACTERISTICS.key))
    scope = root.first(c.SCOPE_OF_ACCUMULATION.key)
    study = scope.first(c.STUDY_INSTANCE_UID.key) if scope else None
    return Content(
        modality=found.modality,
        kind=found.kind,
        events=found.events,
        totals=found.totals,
        values=values,
        patient=patient,
        observers=observers,
        maker=maker,
        study_uid=study.value if study else None,
        source={
            "template": template or report.value,
            "is_recognised_by_content": by_content,
            "dose_image_uids": dose_images,
        },
    )


def _observed(root: Node, key: str) -> str | None:
    node = root.first(key)
    return node.value if node else None


def stand_in_uid(head: ObjectHead) -> str:
    """What stands in for the UID of events that have none."""
    return head.sop_instance_uid or head.series_uid or "event"


def kind_of(head: ObjectHead, kind: SourceKind = SourceKind.RDSR) -> SourceKind:
    """Dose SOP classes rank above other structured reports that hold the same content."""
    dose_classes = {SourceKind.RDSR: "67", SourceKind.RRDSR: "68", SourceKind.P_RDSR: "73"}
    number = dose_classes.get(kind)
    is_dose_class = head.sop_class is None or number is None
    if is_dose_class or (head.sop_class or "").endswith(f".88.{number}"):
        return kind
    return SourceKind.ESR if kind is SourceKind.RDSR else kind


_CT_APART = (
    c.CT_ACQUISITION.key,
    c.CT_ACCUMULATED_DOSE_DATA.key,
    c.PATIENT_CHARACTERISTICS.key,
)


def read_ct_report(reading: Reading, sheet: Sheet) -> Content:
    """CT radiation dose (TID 10011)."""
    root = sheet.root
    values: dict[str, Any] = read_root(reading, root, _CT_APART)
    nodes = in_order_of_start([n for n in root.walk() if n.key == c.CT_ACQUISITION.key])
    events = [read_ct_event(reading, node, place) for place, node in enumerate(nodes)]
    events = identify_events(reading, events, stand_in_uid(sheet.head))
    stated = Fields(reading, "totals.")
    for node in root.walk():
        if node.key == c.CT_ACCUMULATED_DOSE_DATA.key:
            stated.read(node.children, CT_STATED, CT_TOTAL_HANDLERS)
    if "comment" in stated.values:
        values.setdefault("comment", stated.values.pop("comment"))
    return Content(
        modality=Modality.CT,
        kind=kind_of(sheet.head),
        events=events,
        totals=complete_ct_totals(reading, stated.values, events),
        values=values,
    )


def _not_yet(reading: Reading, sheet: Sheet) -> Content:
    raise ReadError("this template is not read yet")


_READERS: dict[Report, Callable[[Reading, Sheet], Content]] = {
    Report.CT: read_ct_report,
    Report.PROJECTION: _not_yet,
    Report.NUCLEAR: _not_yet,
    Report.PATIENT: _not_yet,
    Report.ENHANCED: _not_yet,
    Report.ARCADIS: _not_yet,
}
