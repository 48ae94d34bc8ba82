"""Radiopharmaceutical administrations: TID 10021 to 10023."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dose_lib import codes as c
from dose_lib.dicom.events import take_comment
from dose_lib.dicom.fields import SIDES, Kind, Table, choice, fields, numbers
from dose_lib.dicom.nesting import leave, nodes_of
from dose_lib.dicom.nuclides import NUCLIDES
from dose_lib.dicom.observers import OBSERVER_DEVICE, read_person
from dose_lib.dicom.part import Content
from dose_lib.dicom.reading import Reading, shown_code
from dose_lib.dicom.record import Fields, Handlers
from dose_lib.dicom.report import read_root
from dose_lib.dicom.sheet import Sheet, kind_of
from dose_lib.dicom.sr import Node
from dose_lib.records import (
    Administration,
    Code,
    Device,
    Modality,
    OrganDose,
    SourceKind,
    Totals,
)

# Ten times the largest diagnostic activity; therapies reach a few GBq.
MOST_MBQ = 10_000.0

ADMINISTRATION: Table = {
    **fields(
        Kind.CODE,
        radiopharmaceutical=c.RADIOPHARMACEUTICAL_AGENT,
        radionuclide=c.RADIONUCLIDE,
        route=c.ROUTE_OF_ADMINISTRATION,
        injection_site=c.SITE_OF,
        drug_product=c.DRUG_PRODUCT_IDENTIFIER,
    ),
    **choice("injection_site_laterality", c.LATERALITY, SIDES),
    **fields(Kind.CODES, billing_codes=c.BILLING_CODE),
    **fields(Kind.WORD, administration_uid=c.ADMINISTRATION_EVENT_UID),
    **fields(
        Kind.TIME,
        started_at=c.RADIOPHARMACEUTICAL_START_DATETIME,
        ended_at=c.RADIOPHARMACEUTICAL_STOP_DATETIME,
    ),
    **numbers("s", half_life_s=c.RADIONUCLIDE_HALF_LIFE),
    **numbers("Bq/mmol", specific_activity=c.RADIOPHARMACEUTICAL_SPECIFIC_ACTIVITY),
    **numbers("MBq", administered_activity_mbq=c.ADMINISTERED_ACTIVITY),
    **numbers("mL", administered_volume_ml=c.RADIOPHARMACEUTICAL_VOLUME),
    **numbers("%", extravasation_percent=c.ESTIMATED_EXTRAVASATION_ACTIVITY),
    **fields(Kind.CODES, extravasation=c.INTRAVENOUS_EXTRAVASATION_SYMPTOMS),
    **fields(Kind.TEXT, brand_name=c.BRAND_NAME),
    **fields(
        Kind.TEXTS,
        lot_ids=c.RADIOPHARMACEUTICAL_LOT_IDENTIFIER,
        reagent_vial_ids=c.REAGENT_VIAL_IDENTIFIER,
        radionuclide_vial_ids=c.RADIONUCLIDE_VIAL_IDENTIFIER,
    ),
}
_MEASURED = {
    c.PRE_ADMINISTRATION_MEASURED_ACTIVITY.key: "pre_activity",
    c.POST_ADMINISTRATION_MEASURED_ACTIVITY.key: "post_activity",
}
_ORGAN: Table = {
    **fields(Kind.CODE, finding_site=c.FINDING_SITE, reference_authority=c.REFERENCE_AUTHORITY),
    **choice("laterality", c.LATERALITY, SIDES),
    **numbers("g", mass_g=c.MASS),
    **fields(Kind.TEXT, mass_method=c.MEASUREMENT_METHOD),
    **numbers("mGy", organ_dose_mgy=c.ORGAN_DOSE),
}
_AUTHORITY: Table = fields(Kind.CODE, effective_dose_reference_authority=c.REFERENCE_AUTHORITY)
_EFFECTIVE: Table = numbers("mSv", effective_dose_msv=c.EFFECTIVE_DOSE)


def _take_measured(record: Fields, node: Node) -> None:
    """A syringe measurement with its instrument, and the meters named as its observers."""
    name = _MEASURED[node.key]
    found = record.number(node, "MBq")
    if found is not None:
        record.put(f"{name}_mbq", found[0], node, found[1])
    below = Fields(record.reading, f"{record.prefix}calibrator_devices[].")
    for child in node.children:
        if child.key == c.ACTIVITY_MEASUREMENT_DEVICE.key:
            code = record.code(child)
            if code is not None:
                record.put(f"{name}_device", code, child, recorded=shown_code(code))
        else:
            below.read((child,), OBSERVER_DEVICE, {})
    if set(below.values) - {"observer_type"}:
        known = record.values.get("calibrator_devices", ())
        record.values["calibrator_devices"] = (*known, Device(**below.values))


def _take_organ(record: Fields, node: Node) -> None:
    known = record.values.get("organ_doses", ())
    below = Fields(record.reading, f"{record.prefix}organ_doses[{len(known)}].")
    below.read(node.children, _ORGAN, {})
    record.values["organ_doses"] = (*known, OrganDose(**below.values))


def _take_effective(record: Fields, node: Node) -> None:
    """Effective dose, in a private container of Siemens; its authority stands below it."""
    record.take(node, _EFFECTIVE[node.key])
    record.read(node.children, _AUTHORITY, {})


def _take_person(record: Fields, node: Node) -> None:
    key = read_person(record.reading, node)
    if key is not None:
        record.values.setdefault("operator_key", key)


def _hide(name: str, table: Table) -> Any:
    """Handler of an identifier that is often made for one patient: identity only."""

    def take(record: Fields, node: Node) -> None:
        node.is_taken = True
        if node.value:
            record.reading.identity.setdefault(name, node.value)
        record.read(node.children, table, {})

    return take


_HANDLERS: Handlers = {
    **dict.fromkeys(_MEASURED, _take_measured),
    c.RADIOPHARMACEUTICAL_ADMINISTRATION.key: leave,
    c.ORGAN_DOSE_INFORMATION.key: _take_organ,
    c.EFFECTIVE_DOSE.key: _take_effective,
    c.PERSON_NAME.key: _take_person,
    c.COMMENT.key: take_comment,
    c.PRESCRIPTION_IDENTIFIER.key: _hide("prescription_id", ADMINISTRATION),
    c.RADIOPHARMACEUTICAL_DISPENSE_UNIT_IDENTIFIER.key: _hide("dispense_unit_id", ADMINISTRATION),
}


def read_administration(reading: Reading, node: Node, position: int) -> Administration:
    """One radiopharmaceutical administration (113502)."""
    record = Fields(reading, f"administrations[{position}].")
    record.read(node.children, ADMINISTRATION, _HANDLERS)
    found = Administration(ordinal=position, **record.values)
    check_administration(reading, found, node.path)
    return found


def check_administration(reading: Reading, found: Administration, where: str) -> None:
    """Issues where half-life or activity cannot be right."""
    activity = found.administered_activity_mbq
    if activity is not None and not 0 <= activity <= MOST_MBQ:
        reading.note("implausible_value", where, f"administered activity {activity:g} MBq")
    nuclide = NUCLIDES.get(nuclide_key(found.radionuclide))
    if nuclide and found.half_life_s is not None:
        share = found.half_life_s / nuclide.half_life_s - 1
        if abs(share) > 0.01:
            seen = f"{nuclide.name}: {found.half_life_s:g} s, expected {nuclide.half_life_s:g} s"
            reading.note("implausible_value", where, seen)


def nuclide_key(code: Code | None) -> str:
    """Folded key of a nuclide's code."""
    return c.fold(code.value, code.scheme) if code else ""


def nuclear_modality(administrations: Sequence[Administration], procedure: Code | None) -> Modality:
    """PT for positron emitters or a PET procedure, else NM."""
    known = [NUCLIDES.get(nuclide_key(a.radionuclide)) for a in administrations]
    if any(n is not None and n.is_positron for n in known):
        return Modality.PT
    if any(n is not None for n in known):
        return Modality.NM
    words = (procedure.meaning or "").upper() if procedure else ""
    return Modality.PT if "PET" in words or "POSITRON" in words else Modality.NM


def read_nuclear_report(reading: Reading, sheet: Sheet) -> Content:
    """Radiopharmaceutical radiation dose (TID 10021): one report an administration."""
    root = sheet.root
    apart = (c.RADIOPHARMACEUTICAL_ADMINISTRATION.key, c.PATIENT_CHARACTERISTICS.key)
    values = read_root(reading, root, apart)
    own = (c.ADMINISTRATION_EVENT_UID.key, c.ADMINISTERED_ACTIVITY.key)
    nodes = nodes_of(reading, root, c.RADIOPHARMACEUTICAL_ADMINISTRATION.key, own)
    given = tuple(read_administration(reading, node, place) for place, node in enumerate(nodes))
    values["administrations"] = given
    starts = [a.started_at for a in given if a.started_at is not None]
    if starts:
        values.setdefault("started_at", min(starts, key=lambda at: at.replace(tzinfo=None)))
    return Content(
        modality=nuclear_modality(given, values.get("nm_procedure")),
        kind=kind_of(sheet.head, SourceKind.RRDSR),
        totals=administration_totals(given),
        values=values,
    )


def administration_totals(given: Sequence[Administration]) -> Totals:
    """The count of administrations; activities are never summed across agents."""
    return Totals(n_administrations=len(given), derived=("n_administrations",))
