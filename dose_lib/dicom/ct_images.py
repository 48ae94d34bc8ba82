"""CT images, and dose screens of CT scanners: events as image headers give them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from dose_lib import codes as c
from dose_lib.dicom import tags as t
from dose_lib.dicom.attributes import Attribute, Attributes
from dose_lib.dicom.ct import is_timing_scan
from dose_lib.dicom.ct_totals import complete_ct_totals
from dose_lib.dicom.dialects import Maker, modality_of
from dose_lib.dicom.elements import DataSet, most_items, shown
from dose_lib.dicom.events import identify_events, wall_clock
from dose_lib.dicom.fields import PHANTOMS, Kind
from dose_lib.dicom.identify import ObjectHead
from dose_lib.dicom.image_fields import CT_TYPES, PROTOCOLS
from dose_lib.dicom.part import Content
from dose_lib.dicom.reading import Reading, shown_code
from dose_lib.dicom.record import known_choice
from dose_lib.dicom.sr import coded_item
from dose_lib.dicom.text import ANY_NUMBER, number_in, read_datetime
from dose_lib.errors import NoDoseError, ReadError
from dose_lib.records import (
    Code,
    CtAcquisitionType,
    CtEvent,
    CtSource,
    Modality,
    Phantom,
    SourceKind,
)

EVENT = (
    Attribute(t.IrradiationEventUID, "event_uid", Kind.WORD),
    Attribute(t.AcquisitionDateTime, "started_at", Kind.TIME),
    Attribute(t.CTDIvol, "ctdi_vol_mgy"),
    Attribute(t.EstimatedDoseSaving, "estimated_dose_saving_percent"),
    Attribute(t.WaterEquivalentDiameter, "water_equivalent_diameter_mm"),
    Attribute(
        t.WaterEquivalentDiameterCalculationMethodCodeSequence,
        "water_equivalent_diameter_method",
        Kind.CODE,
    ),
    Attribute(t.ScanLength, "scanning_length_mm"),
    Attribute(t.SpiralPitchFactor, "pitch"),
    Attribute(t.SingleCollimationWidth, "nominal_single_collimation_mm"),
    Attribute(t.TotalCollimationWidth, "nominal_total_collimation_mm"),
    Attribute(t.TableFeedPerRotation, "table_feed_per_rotation_mm"),
    Attribute(t.KVP, "kvp_kv"),
    Attribute(t.XRayTubeCurrentInmA, "tube_current_ma"),
    Attribute(t.XRayTubeCurrentInuA, "tube_current_ma", factor=1e-3),
    Attribute(t.XRayTubeCurrent, "tube_current_ma"),
    Attribute(t.RevolutionTime, "rotation_time_s"),
    Attribute(t.ExposureInmAs, "exposure_mas"),
    Attribute(t.Exposure, "exposure_mas"),
    Attribute(t.ExposureModulationType, "modulation_type", Kind.TEXT),
    Attribute(t.GantryDetectorTilt, "gantry_tilt_deg"),
    Attribute(t.TableHeight, "table_height_mm"),
    Attribute(t.DataCollectionDiameter, "data_collection_diameter_mm"),
    Attribute(t.ReconstructionDiameter, "reconstruction_diameter_mm"),
    Attribute(t.SliceThickness, "slice_thickness_mm"),
    Attribute(t.ConvolutionKernel, "reconstruction_kernel", Kind.TEXTS),
    Attribute(t.FrameOfReferenceUID, "frame_of_reference_uid", Kind.WORD),
    Attribute(t.SeriesDescription, "series_description", Kind.TEXT),
    Attribute(t.AnatomicRegionSequence, "target_region", Kind.CODE),
)
_TIMES = (
    Attribute(t.ExposureTimeInms, "exposure_time_s", factor=1e-3),
    Attribute(t.ExposureTime, "exposure_time_s", factor=1e-3),
)
_PER_FRAME = t.PerFrameFunctionalGroupsSequence


def read_ct_values(record: Attributes) -> None:
    """Values of one CT event from a header, or from an item of an exposure sequence."""
    header, values = record.data_set, record.values
    record.read(EVENT)
    kind = CT_TYPES.get((header.text(t.AcquisitionType) or "").upper())
    if kind is not None:
        record.put("acquisition_type", kind, t.AcquisitionType)
    phantom = header.item(t.CTDIPhantomTypeCodeSequence)
    if phantom is not None and (found := known_choice(*coded_item(phantom), PHANTOMS)):
        recorded = shown_code(coded_item(phantom)[1])
        record.put("phantom", found, t.CTDIPhantomTypeCodeSequence, recorded=recorded)
    if "target_region" not in values and (word := header.text(t.BodyPartExamined)):
        record.put("target_region", Code(meaning=word), t.BodyPartExamined)
    names = {"filter_name": header.text(t.FilterType), "focal_spot_mm": header.number(t.FocalSpots)}
    for name, value in names.items():
        if value is not None:
            values.setdefault("_source", {}).setdefault(name, value)


def finish_ct_event(record: Attributes) -> CtEvent:
    """The event: with its only source, and whether it is a timing scan."""
    values = record.values
    source, others = values.pop("_source", {}), values.pop("_sources", [])
    shared = ("kvp_kv", "tube_current_ma", "rotation_time_s")
    source |= {name: values[name] for name in shared if name in values}
    if source or others:
        values["sources"] = tuple(CtSource(ordinal=n, **s) for n, s in enumerate((source, *others)))
    if others:  # of two tubes no single number is the event's
        for name in ("kvp_kv", "tube_current_ma"):
            values.pop(name, None)
    protocol = values.get("acquisition_protocol") or values.get("series_description")
    values["is_bolus_tracking"] = is_timing_scan(values.get("acquisition_type"), protocol)
    return CtEvent(**values)


def read_ct_image(reading: Reading, header: DataSet, head: ObjectHead) -> Content:
    """A CT image: one event; all slices and reconstructions of it repeat the same dose.

    Raises
    ------
    NoDoseError
        If the header says nothing of an exposure, or an angiography system has
        reconstructed it: its dose is that of the run.
    """
    rule = modality_of(Maker(head.manufacturer, head.model))
    if rule is not None or head.modality in ("XA", "RF"):
        raise NoDoseError("a reconstruction of an angiography run; the dose is in its report")
    records = [
        _read_exposure(reading, header, head, place, frame)
        for place, frame in enumerate(_frames(header))
    ]
    said = {"ctdi_vol_mgy", "kvp_kv", "tube_current_ma", "exposure_mas"}
    if not any(said & set(record.values) for record in records):
        raise NoDoseError("a CT image whose header says nothing of an exposure")
    return ct_content(reading, head, records, {}, SourceKind.IMAGE_HEADER)


def _read_exposure(
    reading: Reading, header: DataSet, head: ObjectHead, place: int, frame: int
) -> Attributes:
    """One event: of the header, of what all frames share, and of its first frame."""
    record = Attributes(reading, header, f"events[{place}].")
    for source, path in ((header, ""), *_functional_groups(header, frame)):
        below = record.below(source, path) if path else record
        read_ct_values(below)
        _take_sources(below)
    values = record.values
    # Per rotation in most headers: only a time that is not the rotation's is the event's.
    record.read(_TIMES)
    if values.get("exposure_time_s") == values.get("rotation_time_s"):
        values.pop("exposure_time_s", None)
    _take_toshiba(record)
    for tag in PROTOCOLS:
        if "acquisition_protocol" not in values:
            record.take(Attribute(tag, "acquisition_protocol", Kind.TEXT))
    if "started_at" not in values:
        record.joined_time("started_at", t.AcquisitionDate, t.AcquisitionTime)
    if number := header.text(t.AcquisitionNumber):
        record.put("label", number, t.AcquisitionNumber)
        values["label_type"] = Code(*c.ACQUISITION_NUMBER)
    if "acquisition_type" not in values and "LOCALIZER" in head.image_type:
        record.put("acquisition_type", CtAcquisitionType.CONSTANT_ANGLE, t.ImageType)
    return record


def _frames(header: DataSet) -> list[int]:
    """The first frame of each irradiation event of an enhanced image; else the first."""
    found: dict[str | None, int] = {}
    for number, frame in enumerate(header.items(t.PerFrameFunctionalGroupsSequence)):
        event = frame.item(t.IrradiationEventIdentificationSequence)
        found.setdefault(event.text(t.IrradiationEventUID) if event else None, number)
    return list(found.values()) or [0]


def _functional_groups(header: DataSet, frame: int) -> Iterable[tuple[DataSet, str]]:
    for tag, number in ((t.SharedFunctionalGroupsSequence, 0), (_PER_FRAME, frame)):
        groups = header.items(tag)
        group = groups[number] if number < len(groups) else None
        if group is None:
            continue
        yield group, f"{shown(tag)}[{number}]"
        for inner in group.spans:
            macro = group.item(inner) if inner != t.CTAdditionalXRaySourceSequence else None
            if macro is not None:
                yield macro, f"{shown(tag)}[{number}]/{shown(inner)}"


_SOURCE = (
    Attribute(t.KVP, "kvp_kv"),
    Attribute(t.XRayTubeCurrentInmA, "tube_current_ma"),
    Attribute(t.FocalSpots, "focal_spot_mm"),
    Attribute(t.FilterType, "filter_name", Kind.TEXT),
)


def _take_sources(record: Attributes) -> None:
    """Further tubes of an enhanced CT image (PS3.3 C.8.15.3.13)."""
    for place, item in enumerate(record.data_set.items(t.CTAdditionalXRaySourceSequence)):
        path = f"{record.path}{shown(t.CTAdditionalXRaySourceSequence)}[{place}]/"
        source = Attributes(record.reading, item, f"{record.prefix}sources[{place + 1}].", path)
        source.read(_SOURCE)
        record.values.setdefault("_sources", []).append(source.values)


_TOSHIBA = {
    0x08: "nominal_single_collimation_mm",
    0x09: "nominal_total_collimation_mm",
    0x23: "pitch",
    0x40: "dlp_mgy_cm",
    0x63: "ctdi_vol_mgy",
}


def _take_toshiba(record: Attributes) -> None:
    """Toshiba's private elements, where the standard's are missing."""
    for element, name in _TOSHIBA.items():
        tag = record.data_set.private(0x7005, "TOSHIBA_MEC_CT3", element)
        if tag is not None and name not in record.values:
            record.take(Attribute(tag, name))
            if name in record.values:
                record.reading.rules["toshiba_private_dose"] = None


def ct_content(
    reading: Reading,
    head: ObjectHead,
    records: list[Attributes],
    stated: dict[str, Any],
    kind: SourceKind,
) -> Content:
    """A CT part of header events."""
    stand_in = head.sop_instance_uid or head.series_uid or "event"
    events = identify_events(reading, [finish_ct_event(r) for r in records], stand_in)
    for event in events:
        if event.phantom is None and (event.ctdi_vol_mgy or event.dlp_mgy_cm):
            reading.note("phantom_missing", event.event_uid)
    return Content(
        modality=Modality.CT,
        kind=kind,
        events=events,
        totals=complete_ct_totals(reading, stated, events),
        maker=Maker(head.manufacturer, head.model),
    )


def exposures(header: DataSet) -> list[tuple[int, DataSet]]:
    """Items of the Exposure Dose Sequence that say something, with their places.

    In order of start where each has one: Philips sends them in another (issue #236).
    """
    found = [(n, item) for n, item in enumerate(header.items(t.ExposureDoseSequence)) if item.spans]
    if len(found) > most_items(len(header.source.data)) // 6:
        raise ReadError("more exposures than a real object can have", where="(0040,030E)")
    starts = [read_datetime(item.text(t.AcquisitionDateTime)) for _, item in found]
    if all(at is not None for at in starts):
        order = sorted(range(len(found)), key=lambda n: (wall_clock(starts[n]), n))  # type: ignore[arg-type]
        found = [found[n] for n in order]
    return found


_PHANTOM_WORDS = {"16": Phantom.HEAD_16CM, "32": Phantom.BODY_32CM, "10": Phantom.SMALL_10CM}


def read_dose_screen(reading: Reading, header: DataSet, head: ObjectHead) -> Content:
    """A secondary capture with an Exposure Dose Sequence: Philips dose info, GE dose report.

    Raises
    ------
    NoDoseError
        If the sequence is empty and no comment holds a dose.
    """
    items = exposures(header)
    comment = header.text(t.CommentsOnRadiationDose) or ""
    stated = _screen_totals(reading, header, comment)
    if not items and "dlp_total_mgy_cm" not in stated:
        raise NoDoseError("a dose screen without exposure items; its pixels are not read")
    by_number = _ge_doses(comment)
    records = []
    for place, (number, item) in enumerate(items):
        record = Attributes(
            reading, item, f"events[{place}].", f"{shown(t.ExposureDoseSequence)}[{number}]/"
        )
        read_ct_values(record)
        record.read(_TIMES)
        _take_private(record)
        _take_item_comment(record)
        if number + 1 in by_number and "dlp_mgy_cm" not in record.values:
            record.values["dlp_mgy_cm"] = by_number[number + 1]
            reading.trace(
                f"{record.prefix}dlp_mgy_cm",
                shown(t.CommentsOnRadiationDose),
                f"Event={number + 1} DLP={by_number[number + 1]:g}",
                rule="ge_dose_report_comment",
            )
            reading.rules["ge_dose_report_comment"] = None
        if (text := record.values.get("series_description")) is not None:
            record.values.setdefault("acquisition_protocol", text)
        records.append(record)
    return ct_content(reading, head, records, stated, SourceKind.DOSE_SC)


def _take_private(record: Attributes) -> None:
    """Philips' private DLP and phantom."""
    dlp = record.data_set.private(0x00E1, "ELSCINT1", 0x21)
    if dlp is not None:
        record.take(Attribute(dlp, "dlp_mgy_cm"))
        record.reading.rules["philips_private_dlp"] = None
    tag = record.data_set.private(0x01E1, "ELSCINT1", 0x26)
    words = record.data_set.text(tag) if tag is not None else None
    found = re.search(r"(\d+)\s*CM", (words or "").upper())
    if tag is not None and found and found[1] in _PHANTOM_WORDS:
        record.put("phantom", _PHANTOM_WORDS[found[1]], tag)
        record.reading.rules["philips_private_phantom"] = None


def _take_item_comment(record: Attributes) -> None:
    """`CTDIvol=14 DLP=274.9` in the item, where the elements are missing."""
    comment = record.data_set.text(t.CommentsOnRadiationDose) or ""
    for word, name in (("CTDIvol", "ctdi_vol_mgy"), ("DLP", "dlp_mgy_cm")):
        found = re.search(rf"\b{word}{ANY_NUMBER}", comment, re.IGNORECASE)
        value = number_in(found[1]) if found else None
        if found and value is not None and name not in record.values:
            record.put(name, value, t.CommentsOnRadiationDose, recorded=found[0])


def _ge_doses(comment: str) -> dict[int, float]:
    """DLP by event number: `Event=3 DLP=769.67`."""
    pattern = rf"^\s*Event\s*=\s*(\d{{1,9}})\s+DLP{ANY_NUMBER}"
    found = re.finditer(pattern, comment, re.MULTILINE | re.IGNORECASE)
    doses = {int(m[1]): number_in(m[2]) for m in found}
    return {event: dose for event, dose in doses.items() if dose is not None}


def _screen_totals(reading: Reading, header: DataSet, comment: str) -> dict[str, Any]:
    record = Attributes(reading, header, "totals.")
    if (count := header.integer(t.TotalNumberOfExposures)) is not None:
        record.put("n_events", count, t.TotalNumberOfExposures)
    private = header.private(0x00E1, "ELSCINT1", 0x21)
    if private is not None:
        record.take(Attribute(private, "dlp_total_mgy_cm"))
    total = re.search(rf"Total\s?DLP{ANY_NUMBER}", comment, re.IGNORECASE)
    value = number_in(total[1]) if total else None
    if total and value is not None:
        record.put("dlp_total_mgy_cm", value, t.CommentsOnRadiationDose, recorded=total[0])
    return record.values
