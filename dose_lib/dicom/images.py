"""Projection and mammography images: one irradiation event in each header."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from dose_lib import codes as c
from dose_lib.dicom import image_fields as f
from dose_lib.dicom import tags as t
from dose_lib.dicom.attributes import Attribute, Attributes
from dose_lib.dicom.ct_totals import exact_sum
from dose_lib.dicom.dialects import Maker, header_factor, modality_of, protocol_element
from dose_lib.dicom.elements import DataSet, shown
from dose_lib.dicom.events import identify_events
from dose_lib.dicom.fields import PHANTOMS, Kind
from dose_lib.dicom.identify import ObjectHead
from dose_lib.dicom.image_filters import known_code, take_filters
from dose_lib.dicom.part import Content
from dose_lib.dicom.projection_totals import complete_totals
from dose_lib.dicom.reading import Reading, shown_code
from dose_lib.dicom.record import known_choice
from dose_lib.dicom.sr import coded_item
from dose_lib.dicom.text import PLAIN_NUMBER
from dose_lib.errors import NoDoseError
from dose_lib.records import (
    Code,
    MgMode,
    Modality,
    RelativeExposure,
    SourceKind,
    XRayEvent,
    XRayEventType,
)

_MODALITIES = {
    "CR": Modality.DX,
    "DX": Modality.DX,
    "DR": Modality.DX,
    "RG": Modality.DX,
    "MG": Modality.MG,
    "XA": Modality.XA,
    "RF": Modality.RF,
    "PX": Modality.PX,
    "IO": Modality.IO,
}
_3D = ("1.2.840.10008.5.1.4.1.1.13.1.1", "1.2.840.10008.5.1.4.1.1.13.1.2")
_TOMOSYNTHESIS = (
    "1.2.840.10008.5.1.4.1.1.13.1.3",
    "1.2.840.10008.5.1.4.1.1.13.1.4",
    "1.2.840.10008.5.1.4.1.1.13.1.5",
)
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
# Without one of these an image says nothing of an exposure.
_EXPOSED = {
    "kap_gy_cm2",
    "agd_mgy",
    "ka_i_mgy",
    "ka_e_mgy",
    "entrance_dose_mgy",
    "ctdi_vol_mgy",
    "kvp_kv",
    "exposure_mas",
    "tube_current_ma",
    "exposure_index",
    "relative_exposure",
}


def read_projection_image(reading: Reading, header: DataSet, head: ObjectHead) -> Content:
    """A CR, DX, XA, RF, PX, IO or 3D X-ray image.

    Raises
    ------
    NoDoseError
        If the header says nothing of an exposure.
    """
    maker = Maker(head.manufacturer, head.model)
    modality = _modality(reading, head, maker)
    table = f.ANGIOGRAPHY if modality in (Modality.XA, Modality.RF) else f.RADIOGRAPHY
    record = _read_common(reading, header, table, own=protocol_element(reading, maker))
    record.values.setdefault("event_type", _event_type(header))
    return _content(reading, head, record, maker, modality)


def read_mammography_image(reading: Reading, header: DataSet, head: ObjectHead) -> Content:
    """A mammography or tomosynthesis image.

    Raises
    ------
    NoDoseError
        If the header says nothing of an exposure.
    """
    record = _read_common(reading, header, f.MAMMOGRAPHY)
    values = record.values
    values.setdefault("event_type", XRayEventType.STATIONARY)
    # The positioner of a mammography unit is its column.
    if "primary_angle_deg" in values and "column_angulation_deg" not in values:
        record.take(Attribute(t.PositionerPrimaryAngle, "column_angulation_deg"))
    _take_fibroglandular(record)
    thickness = header.private(0x0045, "GEMS_SENO_02", 0x49)
    if thickness is not None:
        record.take(Attribute(thickness, "radiological_thickness_mm"))
    values["mg_mode"] = _mg_mode(header, head)
    _sum_frames(record)
    maker = Maker(head.manufacturer, head.model)
    return _content(reading, head, record, maker, Modality.MG)


def _sum_frames(record: Attributes) -> None:
    """Glandular dose that each projection has for itself: the exposure has their sum.

    A value in the per-frame groups is of that frame (PS3.3 C.7.6.16); the first frame's
    alone would be a fraction of the dose.
    """
    frames = record.data_set.items(t.PerFrameFunctionalGroupsSequence)
    items = (f.item(t.XRayAcquisitionDoseSequence) for f in frames)
    doses = [d for i in items if i is not None and (d := i.number(t.OrganDose)) is not None]
    own = f"{shown(t.PerFrameFunctionalGroupsSequence)}/"
    traces = [p for p in record.reading.provenance if p.name == f"{record.prefix}agd_mgy"]
    if len(doses) < 2 or not traces or not traces[0].path.startswith(own):
        return
    record.values["agd_mgy"] = exact_sum(d * 100 for d in doses)
    record.reading.provenance.remove(traces[0])
    record.reading.trace(
        traces[0].name, traces[0].path, f"sum over {len(doses)} frames", factor=100.0
    )
    record.reading.note("frames_summed", traces[0].path, f"{len(doses)} frames")


def _modality(reading: Reading, head: ObjectHead, maker: Maker) -> Modality:
    if head.sop_class in _3D:
        return Modality.CBCT
    found = _MODALITIES.get(head.modality or "", Modality.DX)
    rule = modality_of(maker)
    if rule is not None and rule.modality is not None and found in (Modality.RF, Modality.XA):
        reading.rules[rule.id] = None
        return rule.modality
    return found


def _read_common(
    reading: Reading, header: DataSet, table: Iterable[Attribute], own: int | None = None
) -> Attributes:
    """What all projection images have: of the header first, then of functional groups."""
    record = Attributes(reading, header, "events[0].")
    for source, path in ((header, ""), *functional_groups(header)):
        below = record.below(source, path) if path else record
        below.read(f.PROJECTION)
        below.read(table)
        _take_coded(below)
        take_filters(below)
        _take_entrance_dose(below)
    values = record.values
    if "started_at" not in values:
        record.joined_time("started_at", t.AcquisitionDate, t.AcquisitionTime)
    for tag in (*((own,) if own else ()), *f.PROTOCOLS):
        if "acquisition_protocol" not in values:
            record.take(Attribute(tag, "acquisition_protocol", Kind.TEXT))
    _take_relative_exposure(record)
    return record


def functional_groups(header: DataSet) -> list[tuple[DataSet, str]]:
    """Items of the shared and of the first frame's functional groups, with their places."""
    found: list[tuple[DataSet, str]] = []
    for tag in (t.SharedFunctionalGroupsSequence, t.PerFrameFunctionalGroupsSequence):
        group = header.item(tag)
        for inner in group.spans if group else ():
            macro = group.item(inner) if group else None
            if macro is not None:
                found.append((macro, f"{shown(tag)}/{shown(inner)}"))
                found += [
                    (item, f"{shown(tag)}/{shown(inner)}/{shown(deeper)}")
                    for deeper in _DEEPER
                    if (item := macro.item(deeper)) is not None
                ]
    return found


_DEEPER = (t.XRayAcquisitionDoseSequence, t.XRay3DAcquisitionSequence, t.CTXRayDetailsSequence)


def _take_coded(record: Attributes) -> None:
    """Values that headers give as words of closed sets."""
    header, values = record.data_set, record.values
    for tag in (t.ImageLaterality, t.FrameLaterality, t.Laterality):
        # LEFT and right are sent as well, though the standard has letters only.
        side = f.SIDES.get((header.text(tag) or "").upper()[:1])
        if side is not None:
            record.put("laterality", side, tag)
    if words := header.texts(t.Grid):
        grids = tuple(known_code(word, f.GRIDS) for word in words)
        record.put("grid", grids, t.Grid)
    if word := header.text(t.AnodeTargetMaterial):
        record.put("anode_target", known_code(word, f.MATERIALS), t.AnodeTargetMaterial)
    if "view" not in values and (word := header.text(t.ViewPosition)):
        record.put("view", Code(meaning=word), t.ViewPosition)
    view = header.item(t.ViewCodeSequence)
    if view is not None and "view_modifiers" not in values:
        values["view_modifiers"] = tuple(
            coded_item(item)[1] for item in view.items(t.ViewModifierCodeSequence)
        )
    if word := header.text(t.BodyPartExamined):
        record.put("target_region", Code(meaning=word), t.BodyPartExamined)
    _take_sequences(record)
    _take_field(record)


def _take_sequences(record: Attributes) -> None:
    """Codes that stand in sequences of their own."""
    header, values = record.data_set, record.values
    phantom = header.item(t.CTDIPhantomTypeCodeSequence)
    if phantom is not None and (found := known_choice(*coded_item(phantom), PHANTOMS)):
        recorded = shown_code(coded_item(phantom)[1])
        record.put("phantom", found, t.CTDIPhantomTypeCodeSequence, recorded=recorded)
    take_radiation_mode(record)
    orientation = header.item(t.PatientOrientationCodeSequence)
    modifier = orientation.item(t.PatientOrientationModifierCodeSequence) if orientation else None
    if modifier is not None:
        values.setdefault("orientation_modifier", coded_item(modifier)[1])


def take_radiation_mode(record: Attributes) -> None:
    """Continuous or pulsed radiation."""
    known = {"CONTINUOUS": c.CONTINUOUS, "PULSED": c.PULSED}
    if mode := known.get(record.data_set.text(t.RadiationMode) or ""):
        record.put("fluoro_mode", Code(*mode), t.RadiationMode)


def _take_field(record: Attributes) -> None:
    """Exposed area: height and width, or one diameter, at the detector plane in mm."""
    sizes = record.data_set.numbers(t.ExposedArea)
    if len(sizes) >= 2 and all(sizes[:2]):
        record.put("field_height_mm", sizes[0], t.ExposedArea)
        record.put("field_width_mm", sizes[1], t.ExposedArea)
    ratio = record.data_set.numbers(t.GridAspectRatio)
    if ratio:
        record.put("grid_ratio", ":".join(f"{n:g}" for n in ratio), t.GridAspectRatio)


def _take_entrance_dose(record: Attributes) -> None:
    """Entrance dose, under the name that its stated derivation allows."""
    header = record.data_set
    dose, tag, factor = header.number(t.EntranceDoseInmGy), t.EntranceDoseInmGy, None
    if dose is None:
        dose, tag, factor = header.number(t.EntranceDose), t.EntranceDose, 100.0  # dGy, whole
        if not dose:
            return
        dose *= factor
    derivation = header.text(t.EntranceDoseDerivation)
    name = entrance_name(derivation)
    record.put(name, dose, tag, factor=factor)
    if derivation:
        record.take(Attribute(t.EntranceDoseDerivation, "entrance_dose_derivation", Kind.TEXT))


_WITHOUT = re.compile(
    r"without\s+back|no\s+back|excl\w*\s+back|free\s+in\s+air|incident|ka,?\s?i", re.IGNORECASE
)
_WITH = re.compile(
    r"with\s+back|incl\w*\s+back|entrance\s+surface|esak?\b|esd\b|ka,?\s?e", re.IGNORECASE
)


def entrance_name(derivation: str | None) -> str:
    """Name of the contract for an entrance dose: by what its derivation says of backscatter."""
    if derivation and _WITHOUT.search(derivation):
        return "ka_i_mgy"
    if derivation and _WITH.search(derivation):
        return "ka_e_mgy"
    return "entrance_dose_mgy"


def _take_relative_exposure(record: Attributes) -> None:
    header, maker = record.data_set, record.data_set.text(t.Manufacturer) or ""
    scale = next((s for pattern, s in f.SCALES if re.search(pattern, maker, re.IGNORECASE)), None)
    for tag, known in ((t.RelativeXRayExposure, scale), (t.Sensitivity, "S")):
        value = record.number(tag) if tag in header else None
        if value:
            record.put("relative_exposure", RelativeExposure(value=value, scale=known), tag)


def _take_fibroglandular(record: Attributes) -> None:
    """GE writes the share of fibroglandular tissue into the dose comment: "31 %"."""
    tag = t.CommentsOnRadiationDose
    found = re.fullmatch(rf"\s*{PLAIN_NUMBER}\s*%\s*", record.data_set.text(tag) or "")
    if found:
        record.put("fibroglandular_percent", float(found[1]), tag, rule="ge_fibroglandular_comment")
        record.reading.rules["ge_fibroglandular_comment"] = None


def _mg_mode(header: DataSet, head: ObjectHead) -> MgMode:
    words = {w.upper() for w in head.image_type}
    protocol = " ".join(header.text(tag) or "" for tag in f.PROTOCOLS).upper()
    if {"LOW_ENERGY", "HIGH_ENERGY", "RECOMBINED", "SUBTRACTION"} & words or "CESM" in protocol:
        return MgMode.CEM
    # Hologic sends projections of a tomosynthesis as original secondary captures.
    if head.sop_class in _TOMOSYNTHESIS or head.sop_class == _SECONDARY_CAPTURE:
        return MgMode.DBT
    is_tomo = any("TOMO" in w for w in words) or re.search(r"\bTOMO|\bDBT\b", protocol)
    return MgMode.DBT if is_tomo else MgMode.TWO_D


def _event_type(header: DataSet) -> XRayEventType:
    if (header.text(t.FluoroscopyFlag) or "").upper() == "YES":
        return XRayEventType.FLUOROSCOPY
    if (header.text(t.PositionerMotion) or "").upper() == "DYNAMIC":
        return XRayEventType.ROTATIONAL
    if (header.text(t.TableMotion) or "").upper() == "DYNAMIC":
        return XRayEventType.STEPPING
    return XRayEventType.STATIONARY


def _content(
    reading: Reading, head: ObjectHead, record: Attributes, maker: Maker, modality: Modality
) -> Content:
    values: dict[str, Any] = record.values
    if not _EXPOSED & set(values):
        raise NoDoseError("an image whose header says nothing of an exposure")
    _correct_units(reading, record, maker)
    # A header has one tube current for the event: it is the average as well.
    if "tube_current_ma" in values:
        values["average_tube_current_ma"] = values["tube_current_ma"]
        used = [p for p in reading.provenance if p.name == f"{record.prefix}tube_current_ma"]
        for one in used:
            reading.trace(
                f"{record.prefix}average_tube_current_ma",
                one.path,
                one.recorded,
                factor=one.factor,
            )
    events = identify_events(
        reading, [XRayEvent(**values)], head.sop_instance_uid or head.series_uid or "event"
    )
    part_values: dict[str, Any] = {}
    if modality is Modality.MG:
        part_values["mg_mode"] = values.get("mg_mode")
    if modality in (Modality.XA, Modality.RF):
        reading.note("images_only", "totals")
    return Content(
        modality=modality,
        kind=SourceKind.IMAGE_HEADER,
        events=events,
        totals=complete_totals(reading, (), events),
        values=part_values,
        maker=maker,
    )


_CORRECTED = {t.DistanceSourceToDetector: "sid_mm", t.CompressionForce: "compression_force_n"}


def _correct_units(reading: Reading, record: Attributes, maker: Maker) -> None:
    """Header units that a maker is known to get wrong."""
    for tag, name in _CORRECTED.items():
        factor, rule = header_factor(reading, maker, tag)
        if name in record.values and rule is not None:
            record.values[name] = float(f"{record.values[name] * factor:.15g}")
            reading.note("dialect", record.where(tag), record.data_set.text(tag), rule)
            reading.provenance[:] = [
                p for p in reading.provenance if p.name != record.prefix + name
            ]
            reading.trace(
                record.prefix + name,
                record.where(tag),
                record.data_set.shown(tag),
                factor=factor,
                rule=rule,
            )
