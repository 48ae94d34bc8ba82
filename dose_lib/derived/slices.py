"""Sizes that were measured on single images, put together: by event, then for the exam.

An image belongs to the irradiation event whose UID it names; else to the one with its
acquisition number; else to the one that ran at its acquisition time; else to the only diagnostic
event there is. Images of localisers and of bolus tracking measure nobody; what fits no event
counts for the exam alone.

Of an event the mean over the images of one series counts (AAPM 220: the mean over the scan, not
its central slice, which is named beside it): reconstructions show the same patient again, and
those of a small field cut him off. The series with the smallest share of cut-off images is
taken, then original images, then the longest. The exam has the mean of its events weighted by
DLP, of those of the trunk where there are any.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from dose_lib.codes import ACQUISITION_NUMBER
from dose_lib.derived.pixels import FORMULA, VERSION, SliceSize
from dose_lib.derived.values import Input, exact
from dose_lib.normalise import is_diagnostic
from dose_lib.normalise.regions import components, region_of_code
from dose_lib.records import CtEvent, DerivedValue, Part, SizeMethod

CUT_OFF = "the patient reaches out of the image"
NOT_TRUNK = frozenset({"head", "neck", "extremity", "breast"})

_SLICE, _END = "patient.slices[", "].water_equivalent_diameter_mm"
_FEW = 3  # images below which a mean says little of a scan (ours)
_CUT_OFF_SHARE = 0.2  # of the images of a series; above it its mean is in doubt (ours)
_CLOCK = timedelta(seconds=2)
_LONGEST = timedelta(seconds=60)  # of an event whose end is not known (ours)


class Place(NamedTuple):
    """What an image says of the event it belongs to."""

    event_uid: str | None = None
    acquisition: str | None = None
    acquired_at: datetime | None = None
    series_uid: str | None = None
    is_original: bool = True
    z_mm: float | None = None


class Means(NamedTuple):
    """Diameters by the place of the event, that of the exam, and what to tell of them."""

    of_events: Mapping[int, DerivedValue]
    of_exam: DerivedValue | None
    not_measured: Mapping[str, int]


def slice_name(sop_instance_uid: str) -> str:
    """Name of a slice's size among the derived values of a part.

    Each slice has a name of its own, so that the slices of an exam add up to the same whatever
    the order in which they arrive.
    """
    return f"{_SLICE}{sop_instance_uid}{_END}"


def is_slice(name: str) -> bool:
    """True for the name of a slice's size."""
    return name.startswith(_SLICE) and name.endswith(_END)


def derived_slice(size: SliceSize, place: Place | None = None) -> DerivedValue:
    """A slice's diameter as a derived value of a part; None where the patient is cut off."""
    diameter = round(size.water_equivalent_diameter_mm, 6)
    inputs: dict[str, Input] = {
        "method": SizeMethod.IMAGE.value,
        "mean_hu": round(size.mean_hu, 3),
        "area_mm2": round(size.area_mm2, 3),
        "truncated_share": round(size.truncated_share, 4),
        **_said(place or Place()),
    }
    if not size.is_truncated:
        return DerivedValue(value=diameter, formula=FORMULA, version=VERSION, inputs=inputs)
    inputs |= {"reason": CUT_OFF, "at_least_mm": diameter}
    return DerivedValue(value=None, formula=FORMULA, version=VERSION, inputs=inputs)


def slice_not_measured(reason: str, place: Place | None = None) -> DerivedValue:
    """A slice that should have been measured, and why it was not."""
    inputs: dict[str, Input] = {"reason": reason, **_said(place or Place())}
    return DerivedValue(value=None, formula=FORMULA, version=VERSION, inputs=inputs)


def _said(place: Place) -> dict[str, Input]:
    at = place.acquired_at
    said: dict[str, Input] = {
        "event_uid": place.event_uid,
        "acquisition": place.acquisition,
        "acquired_at": None if at is None else at.isoformat(),
        "series_uid": place.series_uid,
        "image": None if place.is_original else "derived",
        "z_mm": place.z_mm,
    }
    return {name: value for name, value in said.items() if value is not None}


class _Slice(NamedTuple):
    diameter_mm: float | None
    at_least_mm: float | None
    place: Place
    uid: str


def mean_sizes(part: Part) -> Means:
    """Diameters of the events of a CT part and of the exam, from the images measured on arrival.

    Parameters
    ----------
    part
        Merged and normalised; its slices stand in `derived`.
    """
    slices, lost = _slices(part)
    if not slices:
        return Means({}, None, lost)
    events = {n: e for n, e in enumerate(part.events) if isinstance(e, CtEvent)}
    diagnostic = {n for n, e in events.items() if is_diagnostic(e)}
    assigned: dict[int | None, list[_Slice]] = defaultdict(list)
    how: dict[int | None, set[str]] = defaultdict(set)
    for one in slices:
        place, by = _event_of(one.place, events, diagnostic)
        assigned[place].append(one)
        how[place].add(by)
    of_events = {
        n: _mean(assigned[n], assigned_by=", ".join(sorted(how[n])))
        for n in sorted(diagnostic & assigned.keys(), key=int)
    }
    exam = _of_exam(of_events, events, part)
    if exam is None and assigned[None]:
        exam = _mean(assigned[None], assigned_by="none: the images name no event of the exam")
    return Means(of_events, exam or _all_cut_off(of_events), lost)


def _slices(part: Part) -> tuple[list[_Slice], dict[str, int]]:
    found: list[_Slice] = []
    lost: dict[str, int] = defaultdict(int)
    for name, value in sorted(part.derived.items()):
        if not is_slice(name):
            continue
        if value.value is None and "truncated_share" not in value.inputs:
            lost[str(value.inputs.get("reason"))] += 1
            continue
        least = _number(value.inputs, "at_least_mm")
        found.append(_Slice(value.value, least, _place(value.inputs), name[len(_SLICE) :]))
    return found, dict(lost)


def _place(inputs: Mapping[str, Input]) -> Place:
    words = {n: str(inputs[n]) for n in ("event_uid", "acquisition", "series_uid") if n in inputs}
    at = inputs.get("acquired_at")
    return Place(
        **words,
        acquired_at=None if at is None else datetime.fromisoformat(str(at)),
        is_original=inputs.get("image") is None,
        z_mm=_number(inputs, "z_mm"),
    )


def _number(inputs: Mapping[str, Input], name: str) -> float | None:
    value = inputs.get(name)
    return value if isinstance(value, float | int) else None


# --- which event an image belongs to ------------------------------------------------------


def _event_of(
    place: Place, events: Mapping[int, CtEvent], diagnostic: set[int]
) -> tuple[int | None, str]:
    """Place of an image's event and how it was recognised; None if nothing says it."""
    for by, found in (
        ("irradiation event UID", _by_uid(place, events)),
        ("acquisition number", _by_number(place, events)),
        ("acquisition time", _by_time(place, events)),
    ):
        if len(found) == 1:
            return found[0], by
    if len(diagnostic) == 1:
        return next(iter(diagnostic)), "only diagnostic event"
    return None, "nothing"


def _by_uid(place: Place, events: Mapping[int, CtEvent]) -> list[int]:
    wanted = place.event_uid
    return [n for n, e in events.items() if wanted is not None and e.event_uid == wanted]


def _by_number(place: Place, events: Mapping[int, CtEvent]) -> list[int]:
    wanted = place.acquisition
    return [
        n
        for n, e in events.items()
        if wanted is not None
        and e.label_type is not None
        and e.label_type.value == ACQUISITION_NUMBER.value
        and (e.label or "").strip() == wanted
    ]


def _by_time(place: Place, events: Mapping[int, CtEvent]) -> list[int]:
    """The latest event that had begun, if it can have run so long."""
    at = place.acquired_at
    if at is None:
        return []
    at = at.replace(tzinfo=None)
    starts = [(e.started_at.replace(tzinfo=None), n) for n, e in events.items() if e.started_at]
    begun = [(start, n) for start, n in starts if start <= at + _CLOCK]
    if not begun:
        return []
    last = max(start for start, _ in begun)
    found = [n for start, n in begun if start == last]
    ended = events[found[0]].ended_at
    end = last + _LONGEST if ended is None else ended.replace(tzinfo=None) + _CLOCK
    return found if at <= end else []


# --- means --------------------------------------------------------------------------------


def _mean(slices: Sequence[_Slice], *, assigned_by: str) -> DerivedValue:
    """Mean over the images of one series of an event (AAPM 220, section 5)."""
    by_series: dict[str, list[_Slice]] = defaultdict(list)
    for one in slices:
        by_series[one.place.series_uid or ""].append(one)
    series = min(by_series, key=lambda uid: _doubt(by_series[uid], uid))
    made = by_series[series]
    known = sorted(s.diameter_mm for s in made if s.diameter_mm is not None)
    n_cut = len(made) - len(known)
    inputs: dict[str, Input] = {
        "method": SizeMethod.IMAGE.value,
        "assigned_by": assigned_by,
        "n_slices": float(len(known)),
        "n_truncated": float(n_cut),
        "series_uid": series or None,
        "n_series": float(len(by_series)),
    }
    if 2 * len(known) < len(made):
        inputs |= {"reason": "the patient reaches out of most images", "at_least_mm": _least(made)}
        return DerivedValue(value=None, formula=_MEAN, version=VERSION, inputs=inputs)
    inputs |= {"smallest_mm": known[0], "largest_mm": known[-1], **_along(made)}
    inputs |= _confidence(len(known), len(made))
    value = round(math.fsum(known) / len(known), 6)
    return DerivedValue(value=value, formula=_MEAN, version=VERSION, inputs=inputs)


_MEAN = f"mean over the images of {FORMULA}"


def _doubt(made: Sequence[_Slice], uid: str) -> tuple[float, bool, int, str]:
    """Orders series, the best first."""
    cut = sum(s.diameter_mm is None for s in made) / len(made)
    return cut, not any(s.place.is_original for s in made), -len(made), uid


def _confidence(n_known: int, n_made: int) -> dict[str, Input]:
    if n_made - n_known > _CUT_OFF_SHARE * n_made:
        return {"confidence": "low", "in_doubt": f"{n_made - n_known} of {n_made} images cut off"}
    if n_known < _FEW:
        return {"confidence": "low", "in_doubt": f"{n_known} images"}
    return {"confidence": "high"}


def _along(made: Sequence[_Slice]) -> dict[str, Input]:
    """Range along the body, and the diameter of the central slice."""
    placed = [(s.place.z_mm, s.diameter_mm) for s in made if s.place.z_mm is not None]
    known = [(z, d) for z, d in placed if d is not None]
    if not known:
        return {}
    first, last = min(z for z, _ in placed), max(z for z, _ in placed)
    middle = (first + last) / 2
    _, at_centre = min(known, key=lambda row: (abs(row[0] - middle), row[0]))
    return {"z_from_mm": first, "z_to_mm": last, "centre_slice_mm": at_centre}


def _least(made: Iterable[_Slice]) -> float | None:
    bounds = [d for s in made if (d := s.diameter_mm or s.at_least_mm) is not None]
    return round(math.fsum(bounds) / len(bounds), 6) if bounds else None


def _of_exam(
    of_events: Mapping[int, DerivedValue], events: Mapping[int, CtEvent], part: Part
) -> DerivedValue | None:
    """The exam's diameter from its events; None where no event has one."""
    known = {n: v for n, v in of_events.items() if v.value is not None}
    trunk = {n: v for n, v in known.items() if is_of_trunk(events[n], part)}
    used = trunk or known
    if len(used) <= 1:
        return next(iter(used.values()), None)
    dlps = {n: events[n].dlp_mgy_cm or 0.0 for n in used}
    weights = dlps if all(dlps.values()) else dict.fromkeys(used, 1.0)
    total = math.fsum(weights.values())
    value = math.fsum(weights[n] * (v.value or 0.0) for n, v in used.items()) / total
    doubts = [n for n, v in used.items() if v.inputs.get("confidence") != "high"]
    inputs: dict[str, Input] = {
        "method": SizeMethod.IMAGE.value,
        "n_events": float(len(used)),
        "events": ", ".join(str(n) for n in used),
        "n_slices": _sum(used.values(), "n_slices"),
        "n_truncated": _sum(used.values(), "n_truncated"),
        "weighted_by": "DLP" if weights is dlps else "none: not every event states a DLP",
        "smallest_mm": min(v.value or 0.0 for v in used.values()),
        "largest_mm": max(v.value or 0.0 for v in used.values()),
        "confidence": "low" if doubts else "high",
    }
    formula = f"mean over the events of the {_MEAN}"
    return DerivedValue(value=exact(value), formula=formula, version=VERSION, inputs=inputs)


def is_of_trunk(event: CtEvent, part: Part) -> bool:
    """True unless an event is known to be of a head, a neck or a limb alone."""
    places = components(region_of_code(event.target_region) or part.body_region or "")
    return not places or not places <= NOT_TRUNK


def _sum(values: Iterable[DerivedValue], name: str) -> float:
    return math.fsum(_number(v.inputs, name) or 0.0 for v in values)


def _all_cut_off(of_events: Mapping[int, DerivedValue]) -> DerivedValue | None:
    return next((v for v in of_events.values() if v.value is None), None)
