"""Siemens Arcadis: a private summary of a mobile C-arm's exam (scheme 99SMS_RADSUM)."""

from __future__ import annotations

from dose_lib import codes as c
from dose_lib.dicom.fields import Kind, Table, fields, numbers
from dose_lib.dicom.part import Content
from dose_lib.dicom.reading import Reading
from dose_lib.dicom.record import Fields
from dose_lib.dicom.report import read_root
from dose_lib.dicom.sheet import Sheet
from dose_lib.records import Modality, SourceKind, Totals

_TIMES: Table = fields(Kind.TIME, started_at=c.ARCADIS_START, ended_at=c.ARCADIS_END)
_TOTALS: Table = {
    **fields(Kind.COUNT, n_exposures=c.ARCADIS_EXPOSURES),
    **numbers("s", fluoro_time_s=c.ARCADIS_FLUORO_TIME),
    **numbers("Gy.cm2", kap_gy_cm2=c.ARCADIS_KAP),
    **numbers("mGy", ka_r_mgy=c.ARCADIS_AIR_KERMA),
}


def read_arcadis_report(reading: Reading, sheet: Sheet) -> Content:
    """The summary has totals only; it names no events."""
    totals = Fields(reading, "totals.")
    for key, field in _TOTALS.items():
        for node in sheet.root.containers(key):
            totals.take(node, field)
    times = Fields(reading)
    for key, field in _TIMES.items():
        for node in sheet.root.containers(key):
            times.take(node, field)
    values = totals.values
    if "ka_r_mgy" in values:
        values["ka_r_max_plane_mgy"] = values["ka_r_mgy"]
    return Content(
        modality=Modality.RF,
        kind=SourceKind.ESR,
        totals=Totals(**values),
        values=read_root(reading, sheet.root, ()) | times.values,
    )
