"""Totals of a CT part: what the report states, and counts, sums and maxima of its events."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from dose_lib import codes as c
from dose_lib.dicom.fields import PHANTOMS, Kind, Table, fields, numbers
from dose_lib.dicom.nesting import leave
from dose_lib.dicom.reading import Reading
from dose_lib.dicom.record import Fields, Handlers, choose
from dose_lib.dicom.sr import Node
from dose_lib.records import CtAcquisitionType, CtEvent, Phantom, Totals

STATED: Table = {
    **fields(Kind.COUNT, n_events=c.TOTAL_NUMBER_OF_IRRADIATION_EVENTS),
    **numbers("mGy.cm", dlp_total_mgy_cm=c.CT_DOSE_LENGTH_PRODUCT_TOTAL),
    **numbers("mSv", effective_dose_msv=c.CT_EFFECTIVE_DOSE_TOTAL),
    **fields(
        Kind.CODE,
        effective_dose_reference_authority=c.REFERENCE_AUTHORITY,
        effective_dose_method=c.MEASUREMENT_METHOD,
    ),
    **fields(
        Kind.TEXT,
        effective_dose_patient_model=c.PATIENT_MODEL,
        effective_dose_phantom=c.EFFECTIVE_DOSE_PHANTOM_TYPE,
        effective_dose_dosimeter=c.DOSIMETER_TYPE,
    ),
}
DLP_BY_PHANTOM = {
    Phantom.HEAD_16CM: "dlp_16cm_mgy_cm",
    Phantom.BODY_32CM: "dlp_32cm_mgy_cm",
    Phantom.SMALL_10CM: "dlp_10cm_mgy_cm",
    None: "dlp_unknown_phantom_mgy_cm",
}
_CTDI_BY_PHANTOM = {
    Phantom.HEAD_16CM: "ctdi_vol_16cm_max_mgy",
    Phantom.BODY_32CM: "ctdi_vol_32cm_max_mgy",
}
_COUNTS = {
    CtAcquisitionType.CONSTANT_ANGLE: "n_localiser_events",
    CtAcquisitionType.SPIRAL: "n_spiral_events",
    CtAcquisitionType.SEQUENCED: "n_sequenced_events",
    CtAcquisitionType.STATIONARY: "n_stationary_events",
}


def _take_subtotal(record: Fields, node: Node) -> None:
    """A DLP sub-total belongs to the phantom named below it."""
    phantom = node.first(c.CTDI_W_PHANTOM_TYPE.key)
    which = choose(record.reading, phantom, PHANTOMS) if phantom else None
    name = DLP_BY_PHANTOM.get(which) if which is not None else None
    if name is None or phantom is None:
        record.reading.note("phantom_missing", node.path)
        record.reading.keep_extra(node)
        return
    phantom.is_taken = True
    found = record.number(node, "mGy.cm")
    if found is not None:
        record.put(name, found[0], node, found[1])


def _take_total(record: Fields, node: Node) -> None:
    """The phantom below the total (PixelMed) says what most events used; it is no value."""
    record.take(node, STATED[node.key])
    for child in node.children:
        if child.key != c.CTDI_W_PHANTOM_TYPE.key:
            record.read((child,), STATED, {})
        else:
            record.reading.keep_extra(child)


HANDLERS: Handlers = {
    c.CT_ACQUISITION.key: leave,
    c.CT_DOSE_LENGTH_PRODUCT_SUB_TOTAL.key: _take_subtotal,
    c.CT_DOSE_LENGTH_PRODUCT_TOTAL.key: _take_total,
}


def is_for_maxima(event: CtEvent) -> bool:
    """False for localisers, stationary and bolus-tracking events, which leave the maxima."""
    left_out = (CtAcquisitionType.CONSTANT_ANGLE, CtAcquisitionType.STATIONARY)
    return event.acquisition_type not in left_out and not event.is_bolus_tracking


def complete_ct_totals(
    reading: Reading, stated: dict[str, Any], events: Sequence[CtEvent]
) -> Totals:
    """Totals of a CT part; what we counted, summed or compared is named in `derived`.

    Parameters
    ----------
    stated
        Totals as the object states them, by name.
    events
        All events of the part.
    """
    values = dict(stated)
    computed: dict[str, Any] = dict.fromkeys(_COUNTS.values(), 0)
    for event in events:
        if name := _COUNTS.get(event.acquisition_type):  # type: ignore[arg-type]
            computed[name] += 1
    computed["n_events"] = len(events)
    computed |= _sums_by_phantom(events)
    computed |= _maxima(events)
    computed["dlp_total_mgy_cm"] = _total_of_one_phantom(computed)
    _compare(reading, values, computed, events)
    derived = [name for name, value in computed.items() if value is not None and name not in values]
    values |= {name: computed[name] for name in derived}
    return Totals(**values, derived=tuple(derived))


def _sums_by_phantom(events: Iterable[CtEvent]) -> dict[str, float]:
    sums: dict[str, list[float]] = {}
    for event in events:
        if event.dlp_mgy_cm is not None and event.phantom in DLP_BY_PHANTOM:
            sums.setdefault(DLP_BY_PHANTOM[event.phantom], []).append(event.dlp_mgy_cm)
    return {name: exact_sum(values) for name, values in sums.items()}


def exact_sum(values: Iterable[float]) -> float:
    """Sum without the noise of binary fractions: 15 digits."""
    return float(f"{math.fsum(values):.15g}")


def _maxima(events: Iterable[CtEvent]) -> dict[str, float]:
    found: dict[str, float] = {}

    def keep(name: str | None, value: float | None) -> None:
        if name is not None and value is not None:
            found[name] = max(value, found.get(name, value))

    for event in filter(is_for_maxima, events):
        name = _CTDI_BY_PHANTOM.get(event.phantom) if event.phantom else None
        keep(name, event.ctdi_vol_mgy)
        keep("ssde_max_mgy", event.ssde_mgy)
    return found


def _total_of_one_phantom(computed: dict[str, Any]) -> float | None:
    """The DLP total where none was stated: of one phantom only, never a silent mixture."""
    sums = [computed[name] for name in DLP_BY_PHANTOM.values() if computed.get(name) is not None]
    return sums[0] if len(sums) == 1 else None


def _compare(
    reading: Reading, stated: dict[str, Any], computed: dict[str, Any], events: Sequence[CtEvent]
) -> None:
    """Issues where what the object states is not what its events add up to."""
    if (count := stated.get("n_events")) is not None and count != len(events):
        reading.note("count_differs", "totals.n_events", f"{count} stated, {len(events)} found")
    doses = [e.dlp_mgy_cm for e in events if e.dlp_mgy_cm is not None]
    if doses:
        compare_total(reading, "dlp_total_mgy_cm", stated.get("dlp_total_mgy_cm"), exact_sum(doses))
    for name in DLP_BY_PHANTOM.values():
        if name in stated and name in computed:
            compare_total(reading, name, stated[name], computed[name])
    phantoms = {e.phantom for e in events if e.dlp_mgy_cm}
    if len(phantoms) > 1 and stated.get("dlp_total_mgy_cm") is not None:
        seen = " and ".join(sorted(p or "unknown phantom" for p in phantoms))
        reading.note("phantoms_mixed", "totals.dlp_total_mgy_cm", seen)


def compare_total(reading: Reading, name: str, stated: float | None, summed: float | None) -> None:
    """An issue where a stated total is more than 0.1 % from the sum; above 10 % a warning."""
    if stated is None or summed is None or stated == summed:
        return
    share = abs(stated - summed) / max(abs(stated), abs(summed))
    if share <= 1e-3:
        return
    code = "total_differs_from_sum" if share > 0.1 else "total_rounded"
    text = f"stated {stated:g}, sum {summed:g} ({(stated - summed) / (summed or stated):+.1%})"
    reading.note(code, f"totals.{name}", text)
