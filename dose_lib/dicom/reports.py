"""Structured reports: which template holds the content, and its reading into a part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dose_lib import codes as c
from dose_lib.dicom.arcadis import read_arcadis_report
from dose_lib.dicom.ct import read_ct_event
from dose_lib.dicom.ct_stated import LOOSE, read_stated
from dose_lib.dicom.ct_totals import complete_ct_totals
from dose_lib.dicom.dialects import Maker, correct_tree
from dose_lib.dicom.elements import DataSet
from dose_lib.dicom.enhanced import read_enhanced_report
from dose_lib.dicom.estimates import read_estimate_report
from dose_lib.dicom.events import identify_events, in_order_of_start
from dose_lib.dicom.identify import ObjectHead, Report, choose_report
from dose_lib.dicom.nesting import nodes_of, without_repeats
from dose_lib.dicom.nuclear import read_nuclear_report
from dose_lib.dicom.observers import read_observers
from dose_lib.dicom.part import Content
from dose_lib.dicom.patient import read_characteristics
from dose_lib.dicom.projection_report import read_projection_report
from dose_lib.dicom.reading import Reading
from dose_lib.dicom.report import read_root, template_of
from dose_lib.dicom.sheet import Sheet, kind_of, stand_in_uid
from dose_lib.dicom.sr import Node, read_tree
from dose_lib.dicom.templates import keep_only, templates_in
from dose_lib.errors import NoDoseError
from dose_lib.records import Modality, Totals


def read_report(
    reading: Reading, header: DataSet, head: ObjectHead, *, only: Report | None = None
) -> Content:
    """Read a structured report: one template of it, and which others it holds.

    Parameters
    ----------
    only
        The template to read; without it the first, and `others` of the result has the rest.

    Raises
    ------
    NoDoseError
        If it is no dose report.
    """
    root = read_tree(header)
    template = template_of(header)
    maker = Maker(
        head.manufacturer or _observed(root, c.DEVICE_OBSERVER_MANUFACTURER.key),
        head.model or _observed(root, c.DEVICE_OBSERVER_MODEL_NAME.key),
    )
    correct_tree(reading, root, maker)
    report, by_content = choose_report(head, root, template)
    if by_content:
        reading.note("recognised_by_content", None, head.sop_class)
    held = templates_in(root, report)
    report = only or held[0]
    if len(held) > 1:
        reading.note("several_templates", None, ", ".join(held))
        keep_only(root, report, held)
    observers = read_observers(reading, root)
    sheet = Sheet(root, header, head, maker)
    found = _READERS[report](reading, sheet)
    values = dict(found.values)
    given = values.get("administrations") or values.get("estimates")
    if not (found.events or given or _is_stated(found.totals)):
        raise NoDoseError("a dose report without any event, total or administration")
    dose_images = values.pop("_dose_images", ())
    patient = read_characteristics(reading, root.first(c.PATIENT_CHARACTERISTICS.key))
    if (position := values.pop("_position", None)) is not None:
        patient.setdefault("position", position)
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
        others=() if only else held[1:],
        source={
            "template": report.value if only or template is None else template,
            "is_recognised_by_content": by_content,
            "dose_image_uids": dose_images,
        },
    )


def _is_stated(totals: Totals) -> bool:
    """True if the report itself says any of its totals; `planes` are its own as well."""
    own = (n for n in totals.__struct_fields__ if n not in (*totals.derived, "derived"))
    return any(getattr(totals, name) not in (None, (), {}) for name in own)


def _observed(root: Node, key: str) -> str | None:
    node = root.first(key)
    return node.value if node else None


_CT_APART = (
    c.CT_ACQUISITION.key,
    c.CT_ACCUMULATED_DOSE_DATA.key,
    c.PATIENT_CHARACTERISTICS.key,
)


def read_ct_report(reading: Reading, sheet: Sheet) -> Content:
    """CT radiation dose (TID 10011)."""
    root = sheet.root
    nodes = nodes_of(reading, root, c.CT_ACQUISITION.key, (c.IRRADIATION_EVENT_UID.key,))
    values: dict[str, Any] = read_root(reading, root, _CT_APART, LOOSE)
    stated = read_stated(reading, root, nodes)
    nodes = without_repeats(
        reading, nodes, stated.values.get("n_events"), stated.values.get("dlp_total_mgy_cm")
    )
    nodes = in_order_of_start(nodes)
    events = [read_ct_event(reading, node, place) for place, node in enumerate(nodes)]
    events = identify_events(reading, events, stand_in_uid(sheet.head))
    if "comment" in stated.values:
        values.setdefault("comment", stated.values.pop("comment"))
    return Content(
        modality=Modality.CT,
        kind=kind_of(sheet.head),
        events=events,
        totals=complete_ct_totals(reading, stated.values, events),
        values=values,
    )


_READERS: dict[Report, Callable[[Reading, Sheet], Content]] = {
    Report.CT: read_ct_report,
    Report.PROJECTION: read_projection_report,
    Report.NUCLEAR: read_nuclear_report,
    Report.PATIENT: read_estimate_report,
    Report.ENHANCED: read_enhanced_report,
    Report.ARCADIS: read_arcadis_report,
}
