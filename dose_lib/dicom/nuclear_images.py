"""PET and NM images: the administration in the header, and how the series was made."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from dose_lib.dicom import tags as t
from dose_lib.dicom.attributes import Attribute, Attributes
from dose_lib.dicom.elements import DataSet
from dose_lib.dicom.fields import Kind
from dose_lib.dicom.identify import ObjectHead
from dose_lib.dicom.nuclear import administration_totals, check_administration
from dose_lib.dicom.part import Content
from dose_lib.dicom.reading import Reading
from dose_lib.dicom.text import read_date, read_time
from dose_lib.errors import NoDoseError
from dose_lib.records import Administration, Code, Modality, SourceKind

_PET = "1.2.840.10008.5.1.4.1.1.128"
_ENHANCED_PET = "1.2.840.10008.5.1.4.1.1.130"
# PET headers give Bq, NM and enhanced PET MBq (PS3.3 C.8.9.2, C.8.4.10, C.8.22.4). No
# administration reaches 100 GBq and none is below 100 kBq, so a number above 1e5 is Bq.
LARGEST_MBQ = 1e5

ADMINISTRATION = (
    Attribute(t.RadiopharmaceuticalAdministrationEventUID, "administration_uid", Kind.WORD),
    Attribute(t.RadiopharmaceuticalCodeSequence, "radiopharmaceutical", Kind.CODE),
    Attribute(t.RadionuclideCodeSequence, "radionuclide", Kind.CODE),
    Attribute(t.AdministrationRouteCodeSequence, "route", Kind.CODE),
    Attribute(t.RadionuclideHalfLife, "half_life_s"),
    # Bq per micromole in the header (PS3.3 C.8.9.2)
    Attribute(t.RadiopharmaceuticalSpecificActivity, "specific_activity", factor=1e3),
    Attribute(t.RadiopharmaceuticalVolume, "administered_volume_ml"),
    Attribute(t.RadiopharmaceuticalStartDateTime, "started_at", Kind.TIME),
    Attribute(t.RadiopharmaceuticalStopDateTime, "ended_at", Kind.TIME),
)
SERIES = (
    Attribute(t.SeriesType, "pet_series_type", Kind.TEXTS),
    Attribute(t.Units, "pet_units", Kind.WORD),
    Attribute(t.CorrectedImage, "pet_corrections", Kind.TEXTS),
    Attribute(t.AttenuationCorrectionMethod, "pet_attenuation_correction", Kind.WORD),
    Attribute(t.ScatterCorrectionMethod, "pet_scatter_correction", Kind.WORD),
    Attribute(t.RandomsCorrectionMethod, "pet_randoms_correction", Kind.WORD),
    Attribute(t.DecayCorrection, "pet_decay_correction", Kind.WORD),
    Attribute(t.ReconstructionMethod, "pet_reconstruction_method", Kind.WORD),
    Attribute(t.NumberOfSlices, "pet_n_slices", Kind.COUNT),
    Attribute(t.NumberOfTimeSlices, "pet_n_time_slices", Kind.COUNT),
    Attribute(t.NumberOfTimeSlots, "pet_n_time_slots", Kind.COUNT),
    Attribute(t.NumberOfRRIntervals, "pet_n_rr_intervals", Kind.COUNT),
    Attribute(t.ActualFrameDuration, "pet_frame_duration_s", factor=1e-3),
    Attribute(t.CoincidenceWindowWidth, "pet_coincidence_window_ns"),
    Attribute(t.ScanProgressionDirection, "pet_scan_progression", Kind.WORD),
)
_ENERGY = (
    Attribute(t.EnergyWindowLowerLimit, "pet_energy_window_lower_kev"),
    Attribute(t.EnergyWindowUpperLimit, "pet_energy_window_upper_kev"),
)


def read_nuclear_image(reading: Reading, header: DataSet, head: ObjectHead) -> Content:
    """A PET, enhanced PET or NM image.

    Raises
    ------
    NoDoseError
        If the header names no administration.
    """
    is_pet = (head.sop_class or "").startswith((_PET, _ENHANCED_PET)) or head.modality == "PT"
    in_bq = is_pet and not (head.sop_class or "").startswith(_ENHANCED_PET)
    given: list[Administration] = []
    items = header.items(t.RadiopharmaceuticalInformationSequence)
    for place, item in enumerate(items):
        found = _read_administration(reading, header, item, len(given), in_bq=in_bq, place=place)
        if found is not None:
            given.append(found)
    if not given:
        raise NoDoseError("a nuclear medicine image whose header names no administration")
    series = Attributes(reading, header, "sources[0].")
    if is_pet:
        series.read(SERIES)
        window = header.item(t.EnergyWindowRangeSequence)
        if window is not None:
            series.below(window, "(0054,0013)[0]").read(_ENERGY)
    values: dict[str, Any] = {"administrations": tuple(given)}
    starts = [a.started_at for a in given if a.started_at is not None]
    if starts:
        values["started_at"] = min(starts, key=lambda at: at.replace(tzinfo=None))
    if protocol := header.text(t.ProtocolName):
        values["protocol_names"] = (reading.cleaned(protocol, "(0018,1030)"),)
    return Content(
        modality=Modality.PT if is_pet else Modality.NM,
        kind=SourceKind.IMAGE_HEADER,
        totals=administration_totals(given),
        values=values,
        source=series.values,
    )


def _read_administration(
    reading: Reading, header: DataSet, item: DataSet, number: int, *, in_bq: bool, place: int
) -> Administration | None:
    path = f"(0054,0016)[{place}]/"
    record = Attributes(reading, item, f"administrations[{number}].", path)
    record.read(ADMINISTRATION)
    _take_activity(record, in_bq=in_bq)
    _take_words(record)
    _take_times(record, header)
    values = record.values
    known = {"administered_activity_mbq", "radiopharmaceutical", "radionuclide"} & set(values)
    if not known:
        return None
    found = Administration(ordinal=number, **values)
    check_administration(reading, found, path)
    return found


def _take_activity(record: Attributes, *, in_bq: bool) -> None:
    tag = t.RadionuclideTotalDose
    value = record.number(tag)
    if value is None:
        return
    looks_bq = value > LARGEST_MBQ
    if looks_bq != in_bq and value > 0:
        unit = "Bq" if looks_bq else "MBq"
        record.reading.note("implausible_value", record.where(tag), f"{value:g}, taken as {unit}")
    factor = 1e-6 if looks_bq else None
    exact = float(f"{value * 1e-6:.15g}") if looks_bq else value
    record.put("administered_activity_mbq", exact, tag, factor=factor)


def _take_words(record: Attributes) -> None:
    """Agent and route as words where no code was sent."""
    for tag, name in (
        (t.Radiopharmaceutical, "radiopharmaceutical"),
        (t.RadiopharmaceuticalRoute, "route"),
    ):
        text = record.data_set.text(tag)
        if text and name not in record.values:
            record.put(name, Code(meaning=text), tag)


def _take_times(record: Attributes, header: DataSet) -> None:
    """Start and stop as a time of day belong to the day of the series."""
    day = read_date(header.text(t.SeriesDate)) or read_date(header.text(t.StudyDate))
    for tag, name in (
        (t.RadiopharmaceuticalStartTime, "started_at"),
        (t.RadiopharmaceuticalStopTime, "ended_at"),
    ):
        at = read_time(record.data_set.text(tag))
        if day is not None and at is not None and name not in record.values:
            record.put(name, datetime.combine(day, at, record.reading.zone), tag)
