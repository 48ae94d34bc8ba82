"""Every row that a reader's tables name is read into its name: templates and headers alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from pydicom.dataset import Dataset

from dose_lib import codes as c
from dose_lib import read_bytes
from dose_lib.codes import Concept
from dose_lib.dicom import (
    ct,
    ct_images,
    ct_totals,
    device,
    estimates,
    image_fields,
    nuclear,
    nuclear_images,
    patient,
    projection,
    projection_fields,
    projection_totals,
    report,
)
from dose_lib.dicom.attributes import Attribute
from dose_lib.dicom.fields import Table
from dose_lib.records import Part
from tests.dicom import build as b
from tests.dicom.rows import attribute_layers, elements_of, items_of, layers, same


class Place(NamedTuple):
    """Where rows of a table stand in an object, and where their values are in the part."""

    table: Table
    make: Callable[[list[Dataset]], bytes]
    record: Callable[[Part], Any]
    without: Any = ()


def _ct(*items: Dataset) -> bytes:
    return b.ct_report(b.container(c.CT_ACQUISITION, *items))


def _ct_inner(name: Concept) -> Callable[[list[Dataset]], bytes]:
    return lambda items: _ct(b.container(name, *items))


def _xray(*items: Dataset) -> bytes:
    return b.xray_report(b.container(c.IRRADIATION_EVENT_XRAY_DATA, *items))


def _plane(items: list[Dataset]) -> bytes:
    return b.xray_report(b.container(c.ACCUMULATED_XRAY_DOSE_DATA, *items), b.xray_event())


def _nuclear(*items: Dataset) -> bytes:
    root = c.RADIOPHARMACEUTICAL_RADIATION_DOSE_REPORT
    return b.report(*items, root=root, template="10021", sop_class=b.RRDSR)


def _given(items: list[Dataset]) -> bytes:
    return _nuclear(b.container(c.RADIOPHARMACEUTICAL_ADMINISTRATION, *items))


def _characteristics(items: list[Dataset]) -> bytes:
    given = b.container(c.RADIOPHARMACEUTICAL_ADMINISTRATION)
    return _nuclear(given, b.container(c.PATIENT_CHARACTERISTICS, *items))


def _estimate(items: list[Dataset]) -> bytes:
    root = c.PATIENT_RADIATION_DOSE_REPORT
    estimate = b.container(c.RADIATION_DOSE_ESTIMATE, *items)
    return b.report(estimate, root=root, template="10030", sop_class=b.P_RDSR)


PLACES = {
    "CT event": Place(ct.EVENT, lambda i: _ct(*i), lambda p: p.events[0]),
    "CT source": Place(
        ct.SOURCE, _ct_inner(c.CT_XRAY_SOURCE_PARAMETERS), lambda p: p.events[0].sources[0]
    ),
    "alert": Place(
        ct._ALERT, _ct_inner(c.DOSE_CHECK_ALERT_DETAILS), lambda p: p.events[0].dose_check
    ),
    "notification": Place(
        ct._NOTIFICATION,
        _ct_inner(c.DOSE_CHECK_NOTIFICATION_DETAILS),
        lambda p: p.events[0].dose_check,
    ),
    "SSDE": Place(
        {k: f for k, f in ct._SSDE.items() if k != c.SSDE.key},
        lambda i: _ct(b.num(c.SSDE, "9", "mGy", *i)),
        lambda p: p.events[0],
    ),
    "water-equivalent diameter": Place(
        {k: f for k, f in ct._WED.items() if k != c.WATER_EQUIVALENT_DIAMETER.key},
        lambda i: _ct(
            b.num(c.SSDE, "9", "mGy", b.num(c.WATER_EQUIVALENT_DIAMETER, "250", "mm", *i))
        ),
        lambda p: p.events[0],
    ),
    "CT totals": Place(
        ct_totals.STATED,
        lambda i: b.ct_report(b.container(c.CT_ACCUMULATED_DOSE_DATA, *i), b.ct_event()),
        lambda p: p.totals,
    ),
    "X-ray event": Place(
        projection_fields.EVENT | projection_fields.PULSES,
        lambda i: _xray(*i),
        lambda p: p.events[0],
    ),
    "stand-ins": Place(projection_fields.STAND_INS, lambda i: _xray(*i), lambda p: p.events[0]),
    "filter": Place(
        {k: f for k, f in projection_fields.FILTER.items() if f.name != "material"},
        lambda i: _xray(b.container(c.XRAY_FILTERS, *i)),
        lambda p: p.events[0].filters[0],
    ),
    "plane": Place(
        projection_totals.PLANE, _plane, lambda p: p.totals.planes[0], projection_totals.HANDLERS
    ),
    "administration": Place(
        nuclear.ADMINISTRATION, _given, lambda p: p.administrations[0], nuclear._HANDLERS
    ),
    "organ dose": Place(
        nuclear._ORGAN,
        lambda i: _given([b.container(c.ORGAN_DOSE_INFORMATION, *i)]),
        lambda p: p.administrations[0].organ_doses[0],
    ),
    "characteristics": Place(patient.CHARACTERISTICS, _characteristics, lambda p: p.patient),
    "GFR": Place(
        {k: f for k, f in patient._GFR.items() if k != c.GLOMERULAR_FILTRATION_RATE.key},
        lambda i: _characteristics(
            [b.num(c.GLOMERULAR_FILTRATION_RATE, "80", "mL/min/{1.73_m2}", *i)]
        ),
        lambda p: p.patient,
    ),
    "estimate": Place(estimates.SHARED, _estimate, lambda p: p.estimates[0]),
    "root": Place(report.ROOT, lambda i: b.report(*i, b.xray_event()), lambda p: p),
}


@pytest.mark.parametrize("place", PLACES)
def test_every_row_of_a_template(place: str) -> None:
    table, make, record, without = PLACES[place]
    for layer in layers(table, without=without):
        items, expected = items_of(layer)
        (part,), _ = read_bytes(make(items), site_key=b"site")
        found = record(part)
        wrong = {
            name: (getattr(found, name), value)
            for name, value in expected.items()
            if not same(getattr(found, name), value) and name not in IMPOSSIBLE
        }
        assert not wrong


# Small numbers are no heights and no ages; what cannot be is left out.
IMPOSSIBLE = {"height_cm"}


def _projection(modality: str, sop_class: str) -> Callable[..., bytes]:
    return lambda **values: b.encode(b.header(sop_class, **{"Modality": modality, **values}))


def _pet(**values: Any) -> bytes:
    item = b.item(RadionuclideTotalDose="394000000", Radiopharmaceutical="FDG")
    given = b.sequence(item)
    made = b.header(
        b.PET_IMAGE, **{"Modality": "PT", "RadiopharmaceuticalInformationSequence": given, **values}
    )
    return b.encode(made)


def _injection(**values: Any) -> bytes:
    item = b.item(RadionuclideTotalDose="394000000", **values)
    return _pet(RadiopharmaceuticalInformationSequence=b.sequence(item))


class Header(NamedTuple):
    """Where elements of a table stand, and where their values are in the part."""

    table: tuple[Attribute, ...]
    make: Callable[..., bytes]
    record: Callable[[Part], Any]


HEADERS = {
    "radiograph": Header(
        (*image_fields.PROJECTION, *image_fields.RADIOGRAPHY),
        _projection("DX", b.DX_IMAGE),
        lambda p: p.events[0],
    ),
    "angiogram": Header(
        (*image_fields.PROJECTION, *image_fields.ANGIOGRAPHY),
        _projection("XA", b.XA_IMAGE),
        lambda p: p.events[0],
    ),
    "mammogram": Header(
        (*image_fields.PROJECTION, *image_fields.MAMMOGRAPHY),
        _projection("MG", b.MG_IMAGE),
        lambda p: p.events[0],
    ),
    "CT image": Header(ct_images.EVENT, _projection("CT", b.CT_IMAGE), lambda p: p.events[0]),
    "PET series": Header(nuclear_images.SERIES, _pet, lambda p: p.sources[0]),
    "PET injection": Header(
        nuclear_images.ADMINISTRATION, _injection, lambda p: p.administrations[0]
    ),
    "device": Header(
        device.HEADER,
        lambda **values: b.ct_report(b.ct_event(), **{"StationName": None, **values}),
        lambda p: p.device,
    ),
}


@pytest.mark.parametrize("place", HEADERS)
def test_every_element_of_a_header(place: str) -> None:
    table, make, record = HEADERS[place]
    for layer in attribute_layers(table):
        values, expected = elements_of(layer)
        if {"KVP", "CTDIvol"} & set(values) or place not in ("radiograph", "CT image"):
            extra = {}
        else:
            extra = {"KVP": "80"}
        (part,), _ = read_bytes(make(**{**extra, **values}))
        found = record(part)
        wrong = {
            name: (getattr(found, name), value)
            for name, value in expected.items()
            if not same(getattr(found, name), value)
        }
        assert not wrong


def test_the_readers_know_their_handlers() -> None:
    """Rows of the tables that a handler takes instead are tested where the handler is."""
    assert set(projection._HANDLERS) & set(projection_fields.EVENT) == {
        c.IS_REPEATED_ACQUISITION.key
    }
