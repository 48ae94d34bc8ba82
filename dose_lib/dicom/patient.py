"""Age, sex and size of the patient, from the header and from patient characteristics."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from dose_lib import codes as c
from dose_lib.dicom import tags as t
from dose_lib.dicom.attributes import Attributes
from dose_lib.dicom.elements import DataSet, shown
from dose_lib.dicom.fields import Kind, Table, choice, fields, numbers
from dose_lib.dicom.reading import Reading
from dose_lib.dicom.record import Fields, Handlers
from dose_lib.dicom.sr import Node
from dose_lib.dicom.text import read_age, read_date
from dose_lib.records import AgeSource, Code, Patient, PregnancyStatus, Sex, SizeSource

OLDEST_Y = 120.0
WEIGHTS_KG = (0.3, 300.0)
HEIGHTS_CM = (20.0, 250.0)

_PREGNANCY = {
    1: PregnancyStatus.NOT_PREGNANT,
    2: PregnancyStatus.POSSIBLY,
    3: PregnancyStatus.DEFINITELY,
    4: PregnancyStatus.UNKNOWN,
}
_SEXES = {"DCM:M": Sex.M, "DCM:F": Sex.F, "DCM:O": Sex.O}
_SEX_KEYS = {
    **_SEXES,
    "DCM:121102": Sex.O,  # other sex
    "SCT:248153007": Sex.M,
    "SCT:248152002": Sex.F,
}

CHARACTERISTICS: Table = {
    **numbers("a", age_y=c.SUBJECT_AGE),
    **numbers("cm", height_cm=c.PATIENT_HEIGHT),
    **numbers("kg", weight_kg=c.PATIENT_WEIGHT),
    **numbers("m2", bsa_m2=c.BODY_SURFACE_AREA),
    **numbers("kg/m2", bmi_kg_per_m2=c.BODY_MASS_INDEX),
    **numbers("mmol/L", glucose_mmol_per_l=c.GLUCOSE),
    **numbers("h", fasting_duration_h=c.FASTING_DURATION),
    **numbers("mL", hydration_volume_ml=c.HYDRATION_VOLUME),
    **numbers("mg/dL", creatinine_mg_per_dl=c.SERUM_CREATININE),
    **fields(Kind.TEXT, recent_physical_activity=c.RECENT_PHYSICAL_ACTIVITY),
    **fields(Kind.CODE, bsa_formula=c.BODY_SURFACE_AREA_FORMULA, bmi_equation=c.EQUATION),
    **fields(Kind.CODES, patient_state=c.PATIENT_STATE),
    **choice("sex", c.SUBJECT_SEX, _SEX_KEYS),
}
_GFR: Table = {
    **numbers("mL/min/{1.73_m2}", gfr_ml_per_min_per_173m2=c.GLOMERULAR_FILTRATION_RATE),
    **fields(Kind.CODE, gfr_method=c.MEASUREMENT_METHOD),
    **fields(Kind.CODE, gfr_equivalent_meaning=c.EQUIVALENT_MEANING),
}


def _take_gfr(record: Fields, node: Node) -> None:
    """The first rate that was recorded; its method and meaning stand below it."""
    if "gfr_ml_per_min_per_173m2" in record.values:
        record.reading.keep_extra(node)
        return
    record.take(node, _GFR[node.key])
    record.read(node.children, _GFR, {})


_HANDLERS: Handlers = {c.GLOMERULAR_FILTRATION_RATE.key: _take_gfr}


def read_characteristics(reading: Reading, container: Node | None) -> dict[str, Any]:
    """Values of TID 10024, by name of `Patient`; empty without the container."""
    record = Fields(reading, "patient.")
    if container is not None:
        record.read(container.children, CHARACTERISTICS, _HANDLERS)
        if "age_y" in record.values:
            record.values["age_source"] = AgeSource.SR
        if {"weight_kg", "height_cm"} & set(record.values):
            record.values["size_source"] = SizeSource.SR
    return record.values


def read_patient(
    reading: Reading,
    header: DataSet,
    day: date | None,
    *,
    size_source: SizeSource,
    content: Mapping[str, Any] | None = None,
) -> Patient:
    """The patient of a part: what the content says, then what the header says.

    Parameters
    ----------
    day
        Day of the exam, for an age from the birth date.
    size_source
        What a size in the header counts as.
    content
        Values of `read_characteristics`; they win.
    """
    values = _plausible(reading, dict(content or {}), "patient characteristics")
    record = Attributes(reading, header, "patient.")
    record.values = values
    _take_age(record, day)
    if "sex" not in values and (sex := header.text(t.PatientSex)) in ("F", "M", "O"):
        record.put("sex", Sex(sex), t.PatientSex)
    _take_size(record, size_source)
    status = header.integer(t.PregnancyStatus)
    if status in _PREGNANCY:
        record.put("pregnancy_status", _PREGNANCY[status], t.PregnancyStatus)
    if "position" not in values and (position := header.text(t.PatientPosition)):
        record.put("position", Code(meaning=position), t.PatientPosition)
    return Patient(**values)


def _take_age(record: Attributes, day: date | None) -> None:
    header, reading, values = record.data_set, record.reading, record.values
    text = header.text(t.PatientAge)
    age = read_age(text)
    if text and age is None:
        reading.note("unreadable_number", shown(t.PatientAge), text)
    born = read_date(header.text(t.PatientBirthDate))
    exact = (day - born).days / 365.25 if day and born else None
    if exact is not None and not 0 <= exact <= OLDEST_Y:
        reading.note("birth_date_impossible", shown(t.PatientBirthDate))
        exact = None
    if age is not None and age > OLDEST_Y:
        reading.note("implausible_value", shown(t.PatientAge), text)
        age = None
    # "000Y" says less than the birth date does.
    if age == 0 and exact is not None and (text or "").upper().endswith("Y"):
        age = None
    if "age_y" in values:
        return
    if age is not None:
        record.put("age_y", age, t.PatientAge)
        values["age_source"] = AgeSource.RECORDED
    elif exact is not None:
        record.put("age_y", round(exact, 4), t.PatientBirthDate, recorded="(birth date)")
        values["age_source"] = AgeSource.BIRTH_DATE


def _take_size(record: Attributes, source: SizeSource) -> None:
    header = Attributes(record.reading, record.data_set, "patient.")
    weight, height = header.number(t.PatientWeight), header.number(t.PatientSize)
    found: dict[str, Any] = {}
    if weight is not None:
        found["weight_kg"] = weight
    if height is not None:
        # Metres by the standard; 173 is what people type.
        if height > 3:
            record.reading.note("implausible_value", shown(t.PatientSize), f"{height:g} m")
        found["height_cm"] = height if height > 3 else float(f"{height * 100:.15g}")
    found = _plausible(record.reading, found, "header")
    for name, tag in (("weight_kg", t.PatientWeight), ("height_cm", t.PatientSize)):
        if name in found and name not in record.values:
            factor = 100.0 if name == "height_cm" and (height or 0) <= 3 else None
            record.put(name, found[name], tag, factor=factor)
            record.values.setdefault("size_source", source)


def _plausible(reading: Reading, values: dict[str, Any], where: str) -> dict[str, Any]:
    """The values without those no human being has."""
    ranges = {"weight_kg": WEIGHTS_KG, "height_cm": HEIGHTS_CM, "age_y": (0.0, OLDEST_Y)}
    for name, (low, high) in ranges.items():
        value = values.get(name)
        if value is not None and not low <= value <= high:
            reading.note("implausible_value", where, f"{name} {value:g}")
            del values[name]
            reading.provenance[:] = [p for p in reading.provenance if p.name != f"patient.{name}"]
    return values
