"""Dose objects for tests, in one call each: sensible defaults, anything overridden by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from dose_lib.errors import UsageError, did_you_mean
from dose_lib.records import (
    Administration,
    CtAcquisitionType,
    CtEvent,
    Device,
    Identity,
    Part,
    Patient,
    SourceObject,
    Totals,
    XRayEvent,
)
from dose_lib.simulate.writer.report import write_rdsr
from dose_lib.simulate.writer.sample_ct import ct_event, ct_part
from dose_lib.simulate.writer.sample_parts import someone
from dose_lib.simulate.writer.samples import KINDS

Event = CtEvent | XRayEvent


def make_ct_rdsr(
    events: int | Sequence[CtEvent] = 2,
    vendor: str = "clean",
    *,
    seed: object = 0,
    **overrides: Any,
) -> bytes:
    """A CT dose report as a DICOM file.

    Parameters
    ----------
    events
        Number of events (the first is a localiser, the others spiral scans of the chest),
        or the events themselves.
    vendor
        Dialect, see `dialect_names()`.
    seed
        Other seeds give other UIDs, patients and accession numbers.
    **overrides
        Contract names of part, device, patient, totals, identity, source object or (for
        every event but localisers) CT event; the first record that has the name takes it.
        An event's name can be addressed alone as ``event2_ctdi_vol_mgy=...``.

    Examples
    --------
    >>> data = make_ct_rdsr(events=2, vendor="ge", age_y=5.0, dlp_total_mgy_cm=120.5)
    """
    part, identity = make_ct_part(events, vendor, seed=seed, **overrides)
    return write_rdsr(part, identity, vendor)


def make_ct_part(
    events: int | Sequence[CtEvent] = 2,
    vendor: str = "clean",
    *,
    seed: object = 0,
    **overrides: Any,
) -> tuple[Part, Identity]:
    """What `make_ct_rdsr` writes, as records."""
    made: list[Event] = list(
        [ct_event(i, seed) for i in range(events)] if isinstance(events, int) else events
    )
    free = dict(overrides)
    made = _override_events(made, free)
    part = ct_part([e for e in made if isinstance(e, CtEvent)], vendor, seed)
    return _finish(part, someone(seed), free)


def make_rdsr(
    kind: str = "fluoroscopy",
    n: int = 2,
    vendor: str = "clean",
    *,
    seed: object = 0,
    **overrides: Any,
) -> bytes:
    """A projection or radiopharmaceutical dose report as a DICOM file.

    Parameters
    ----------
    kind
        ``fluoroscopy``, ``biplane``, ``pulsed``, ``radiography``, ``mammography``,
        ``cone-beam`` or ``radiopharmaceutical``.
    n
        Number of events (biplane: of pairs) or administrations.
    vendor, seed, **overrides
        As for `make_ct_rdsr`.

    Examples
    --------
    >>> data = make_rdsr("mammography", 4, "hologic", event0_agd_mgy=2.2)
    """
    part, identity = make_part(kind, n, vendor, seed=seed, **overrides)
    return write_rdsr(part, identity, vendor)


def make_part(
    kind: str = "fluoroscopy",
    n: int = 2,
    vendor: str = "clean",
    *,
    seed: object = 0,
    **overrides: Any,
) -> tuple[Part, Identity]:
    """What `make_rdsr` writes, as records."""
    if kind not in KINDS:
        raise UsageError(f"unknown kind of dose report {kind!r}", todo=did_you_mean(kind, KINDS))
    part = KINDS[kind](n, vendor, seed)
    free = dict(overrides)
    events = _override_events(list(part.events), free)
    administrations = tuple(_take(a, free) for a in part.administrations)
    part = msgspec.structs.replace(part, events=tuple(events), administrations=administrations)
    return _finish(part, someone(seed), free)


def _override_events(events: list[Event], free: dict[str, Any]) -> list[Event]:
    made = []
    for index, event in enumerate(events):
        prefix = f"event{index}_"
        named = {n: free.pop(n) for n in list(free) if n.startswith(prefix)}
        values = {n[len(prefix) :]: v for n, v in named.items()}
        made.append(msgspec.structs.replace(event, **values))
    if not made:
        return made
    above = set().union(*(_names(t) for t in (Part, Device, Patient, Totals, Identity)))
    own = _names(type(made[0])) - above
    shared = {n: free.pop(n) for n in list(free) if n in own}
    return [e if _is_localiser(e) else msgspec.structs.replace(e, **shared) for e in made]


def _is_localiser(event: Event) -> bool:
    return isinstance(event, CtEvent) and event.acquisition_type is CtAcquisitionType.CONSTANT_ANGLE


def _finish(part: Part, identity: Identity, free: dict[str, Any]) -> tuple[Part, Identity]:
    part = _take(part, free)
    part = msgspec.structs.replace(
        part,
        device=_take(part.device, free),
        patient=_take(part.patient, free),
        totals=_take_totals(part.totals, free),
        sources=(_take(part.sources[0], free), *part.sources[1:]) if part.sources else (),
    )
    identity = _take(identity, free)
    if free:
        name = next(iter(free))
        raise UsageError(
            f"no record of this report has the name {name!r}",
            todo=did_you_mean(name, _known_names()),
        )
    return part, identity


def _take_totals(totals: Totals, free: dict[str, Any]) -> Totals:
    """Totals, and the same names of a single plane, which is what is written."""
    stated = {n: free[n] for n in free if n in _names(Totals)}
    totals = _take(totals, free)
    if len(totals.planes) == 1:
        own = {n: v for n, v in stated.items() if n in _names(type(totals.planes[0]))}
        plane = msgspec.structs.replace(totals.planes[0], **own)
        totals = msgspec.structs.replace(totals, planes=(plane,))
    return totals


def _take(record: Any, free: dict[str, Any]) -> Any:
    values = {n: free.pop(n) for n in list(free) if n in _names(type(record))}
    return msgspec.structs.replace(record, **values) if values else record


def _names(record: type) -> frozenset[str]:
    return frozenset(record.__struct_fields__)  # type: ignore[attr-defined]


def _known_names() -> Mapping[str, None]:
    records = (
        Part,
        Device,
        Patient,
        Totals,
        Identity,
        SourceObject,
        CtEvent,
        XRayEvent,
        Administration,
    )
    return dict.fromkeys(n for r in records for n in _names(r))
