"""Modality performed procedure steps: totals of the retired radiation dose module.

The module (PS3.3 C.4.16) was retired, and modalities go on sending it. It has totals and,
for some, one item an exposure; event UIDs only where the maker adds them.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from dose_lib.dicom import tags as t
from dose_lib.dicom.attributes import Attribute, Attributes
from dose_lib.dicom.ct_images import exposures, finish_ct_event, read_ct_values
from dose_lib.dicom.ct_totals import complete_ct_totals
from dose_lib.dicom.dialects import Maker
from dose_lib.dicom.elements import DataSet, shown
from dose_lib.dicom.events import identify_events
from dose_lib.dicom.fields import Kind
from dose_lib.dicom.identify import ObjectHead
from dose_lib.dicom.image_fields import PROJECTION
from dose_lib.dicom.image_filters import take_filters
from dose_lib.dicom.images import take_radiation_mode
from dose_lib.dicom.part import Content
from dose_lib.dicom.projection_totals import complete_totals
from dose_lib.dicom.reading import Reading
from dose_lib.errors import NoDoseError
from dose_lib.records import CtEvent, Modality, SourceKind, Totals, XRayEvent

_TOTALS = (
    Attribute(t.ImageAndFluoroscopyAreaDoseProduct, "kap_gy_cm2", factor=0.1),
    Attribute(t.TotalTimeOfFluoroscopy, "fluoro_time_s"),
    Attribute(t.TotalNumberOfExposures, "n_exposures", Kind.COUNT),
    Attribute(t.EntranceDoseInmGy, "entrance_dose_mgy"),
    Attribute(t.EntranceDose, "entrance_dose_mgy", factor=100.0),  # dGy, whole numbers
    Attribute(t.EntranceDoseDerivation, "entrance_dose_derivation", Kind.TEXT),
)
_MODALITIES = {
    "CT": Modality.CT,
    "XA": Modality.XA,
    "RF": Modality.RF,
    "CR": Modality.DX,
    "DX": Modality.DX,
    "MG": Modality.MG,
    "PX": Modality.PX,
    "IO": Modality.IO,
}


def read_mpps(reading: Reading, header: DataSet, head: ObjectHead) -> Content:
    """Content of an MPPS N-CREATE or N-SET, or of both put together.

    Raises
    ------
    NoDoseError
        If the step is of no X-ray modality.
    """
    modality = _MODALITIES.get(head.modality or "")
    if modality is None:
        raise NoDoseError(f"a performed procedure step of modality {head.modality or 'unknown'}")
    values: dict[str, Any] = {}
    if head.sop_instance_uid:
        values["performed_step_uids"] = (head.sop_instance_uid,)
    protocols = [s.text(t.ProtocolName) for s in header.items(t.PerformedSeriesSequence)]
    names = tuple(dict.fromkeys(reading.cleaned(p, "(0018,1030)") for p in protocols if p))
    if names:
        values["protocol_names"] = names
    stand_in = head.sop_instance_uid or "step"
    events: list[CtEvent] | list[XRayEvent]
    if modality is Modality.CT:
        events = identify_events(reading, _ct_events(reading, header), stand_in)
        stated = {k: v for k, v in _stated(reading, header).items() if k == "n_exposures"}
        totals = complete_ct_totals(reading, stated, events)
    else:
        events = identify_events(reading, _xray_events(reading, header), stand_in)
        totals = _totals(reading, header, events)
    return Content(
        modality=modality,
        kind=SourceKind.MPPS,
        events=events,
        totals=totals,
        values=values,
        maker=Maker(head.manufacturer, head.model),
    )


def _stated(reading: Reading, header: DataSet) -> dict[str, Any]:
    record = Attributes(reading, header, "totals.")
    record.read(_TOTALS)
    # EntranceDose is a whole number of dGy, in practice 0.
    if not record.values.get("entrance_dose_mgy"):
        record.values.pop("entrance_dose_mgy", None)
    return record.values


def _totals(reading: Reading, header: DataSet, events: list[XRayEvent]) -> Totals:
    stated = _stated(reading, header)
    computed = complete_totals(reading, (), events)
    derived = tuple(name for name in computed.derived if name not in stated)
    return replace(computed, **stated, derived=derived)


def _ct_events(reading: Reading, header: DataSet) -> list[CtEvent]:
    found = []
    for place, (number, item) in enumerate(exposures(header)):
        path = f"{shown(t.ExposureDoseSequence)}[{number}]/"
        record = Attributes(reading, item, f"events[{place}].", path)
        read_ct_values(record)
        record.take(Attribute(t.ExposureTime, "exposure_time_s", factor=1e-3))
        found.append(finish_ct_event(record))
    return found


def _xray_events(reading: Reading, header: DataSet) -> list[XRayEvent]:
    found = []
    for place, (number, item) in enumerate(exposures(header)):
        path = f"{shown(t.ExposureDoseSequence)}[{number}]/"
        record = Attributes(reading, item, f"events[{place}].", path)
        record.read(PROJECTION)
        take_filters(record)
        take_radiation_mode(record)
        found.append(XRayEvent(**record.values))
    return found
