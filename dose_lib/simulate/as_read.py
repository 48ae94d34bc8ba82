"""Exam parts as the reader hands them over, without the detour through bytes.

For stores of a size that writing and reading back would take hours to fill. A test holds the
result to what is read from the written object, name by name.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from dose_lib.dicom.projection import mammography_mode
from dose_lib.keys import patient_key, staff_key
from dose_lib.records import (
    CtAcquisitionType,
    CtEvent,
    Identity,
    Modality,
    Part,
    Phantom,
    SourceKind,
    Totals,
    XRayEvent,
    XRayEventType,
)
from dose_lib.simulate.writer.makers import find_dialect
from dose_lib.simulate.writer.people import ADMINISTERING, AUTHORIZING, of_role

_COUNTS = {
    "n_localiser_events": CtAcquisitionType.CONSTANT_ANGLE,
    "n_spiral_events": CtAcquisitionType.SPIRAL,
    "n_sequenced_events": CtAcquisitionType.SEQUENCED,
    "n_stationary_events": CtAcquisitionType.STATIONARY,
}
_DLP = {
    Phantom.HEAD_16CM: "dlp_16cm_mgy_cm",
    Phantom.BODY_32CM: "dlp_32cm_mgy_cm",
    None: "dlp_unknown_phantom_mgy_cm",
}
_CTDI = {
    Phantom.HEAD_16CM: "ctdi_vol_16cm_max_mgy",
    Phantom.BODY_32CM: "ctdi_vol_32cm_max_mgy",
}
_NOT_IN_MAXIMA = (CtAcquisitionType.CONSTANT_ANGLE, CtAcquisitionType.STATIONARY)


def as_read(
    part: Part,
    identity: Identity,
    site_key: bytes | None = None,
    *,
    dialect: str | None = None,
) -> Part:
    """A simulated part with what a reader adds: keys, counts, sums, maxima.

    Parameters
    ----------
    part, identity
        As simulated.
    site_key
        Key of the pseudonyms; without it there are none.
    dialect
        Dialect of the report, which may not name operators; None for images, which do.
    """
    events, totals = _completed(part)
    return msgspec.structs.replace(
        part,
        totals=totals,
        events=events,
        sources=tuple(_source(s, part) for s in part.sources),
        **_people(part, identity, site_key, dialect),
    )


def _source(source: Any, part: Part) -> Any:
    kind = SourceKind.RRDSR if part.administrations else SourceKind.RDSR
    uids = tuple(e.event_uid for e in part.events if e.event_uid)
    return msgspec.structs.replace(source, kind=kind, event_uids=uids)


def _people(
    part: Part, identity: Identity, site_key: bytes | None, dialect: str | None
) -> dict[str, Any]:
    if site_key is None:
        return {}
    key, linked = patient_key(
        site_key, identity.patient_id, identity.patient_id_issuer, part.study_uid
    )

    def keys(role: Any) -> tuple[str, ...]:
        found = (staff_key(site_key, s.staff_name, s.staff_id) for s in of_role(identity, role))
        return tuple(k for k in found if k)

    names_operators = dialect is None or find_dialect(dialect).has_operators_header
    return {
        "patient": msgspec.structs.replace(part.patient, patient_key=key, is_linked=linked),
        "operator_keys": keys(ADMINISTERING) if names_operators else (),
        "physician_keys": keys(AUTHORIZING),
    }


def _completed(part: Part) -> tuple[tuple[Any, ...], Totals]:
    ct = [e for e in part.events if isinstance(e, CtEvent)]
    if ct:
        marked = tuple(msgspec.structs.replace(e, is_bolus_tracking=_is_tracking(e)) for e in ct)
        return marked, _with(part.totals, _ct_sums(marked))
    xray = [e for e in part.events if isinstance(e, XRayEvent)]
    if xray:
        fluoro = sum(e.event_type is XRayEventType.FLUOROSCOPY for e in xray)
        counts = {"n_fluoro_events": fluoro, "n_acquisition_events": len(xray) - fluoro}
        if part.modality is Modality.MG:
            xray = [_with_mode(e) for e in xray]
        return tuple(xray), _with(part.totals, counts)
    return part.events, part.totals


def _with_mode(event: XRayEvent) -> XRayEvent:
    """A report names no technique of mammography; a reader tells it by name and movement."""
    return msgspec.structs.replace(event, mg_mode=mammography_mode(msgspec.structs.asdict(event)))


def _is_tracking(event: CtEvent) -> bool:
    return event.acquisition_type is CtAcquisitionType.STATIONARY


def _with(totals: Totals, computed: dict[str, Any]) -> Totals:
    added = {n: v for n, v in computed.items() if v is not None and getattr(totals, n) is None}
    return msgspec.structs.replace(totals, **added, derived=(*totals.derived, *added))


def _ct_sums(events: Sequence[CtEvent]) -> dict[str, Any]:
    found: dict[str, Any] = {
        name: sum(e.acquisition_type is kind for e in events) for name, kind in _COUNTS.items()
    }
    for phantom, name in _DLP.items():
        found[name] = _sum(e.dlp_mgy_cm for e in events if e.phantom is phantom)
    for phantom, name in _CTDI.items():
        of_phantom = (
            e.ctdi_vol_mgy
            for e in events
            if e.phantom is phantom
            and e.ctdi_vol_mgy is not None
            and e.acquisition_type not in _NOT_IN_MAXIMA
        )
        found[name] = max(of_phantom, default=None)
    return found


def _sum(values: Iterable[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return float(f"{math.fsum(known):.15g}") if known else None
