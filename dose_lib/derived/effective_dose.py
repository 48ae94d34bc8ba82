"""Effective dose: an indicator for populations, never a patient's risk.

CT: E = Σ k × DLP over the acquisitions, k by region and age group of one published set. The
trap: factors for children, and for heads and necks of adults, hold for DLP on the 16 cm
phantom (AAPM 96). A child's trunk stated on 32 cm would come out too low by about two, so it
is refused and not converted. Interventions on the heart: E = Σ KAP × factor of the added
copper (Vano et al. 2019). For other projections no factors were found that could be verified.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import NamedTuple

from dose_lib import codes
from dose_lib.derived.values import known, not_known
from dose_lib.normalise.regions import components, region_of_code
from dose_lib.records import CtEvent, DerivedValue, Modality, Part, Phantom, XRayEvent
from dose_lib.reference import read_table, tables_folder

VERSION = "1"

# Sets of `dlp_to_effective_dose_k.csv` by what their `source` starts with and their weighting.
FACTOR_SETS: Mapping[str, tuple[str, str]] = {
    "AAPM-96": ("EUR 16262", "ICRP60"),
    "LEE-2012-ICRP103": ("Lee et al.", "ICRP103"),
    "LEE-2012-ICRP60": ("Lee et al.", "ICRP60"),
    "DEAK-2010": ("Deak", "ICRP103"),
}
# Sets that say on which phantom the DLP of children is; others hold for adults only.
_WITH_CHILDREN = frozenset({"AAPM-96"})
_LEFT_OUT_SHARE = 0.05  # DLP that may lie where the set has no factor (ours)
_CHILD = Phantom.HEAD_16CM

# Region of the set by our components, the first that has a factor counts.
_REGIONS: tuple[tuple[frozenset[str], tuple[str, ...]], ...] = (
    (frozenset({"head"}), ("head",)),
    (frozenset({"neck"}), ("neck",)),
    (frozenset({"head", "neck"}), ("head and neck",)),
    (frozenset({"chest"}), ("chest",)),
    (frozenset({"heart"}), ("chest",)),
    (frozenset({"abdomen"}), ("abdomen", "abdomen-pelvis")),
    (frozenset({"pelvis"}), ("pelvis", "abdomen-pelvis")),
    (frozenset({"abdomen", "pelvis"}), ("abdomen-pelvis",)),
    (frozenset({"chest", "abdomen"}), ("trunk", "chest-abdomen-pelvis")),
    (frozenset({"chest", "abdomen", "pelvis"}), ("trunk", "chest-abdomen-pelvis")),
)
_HEAD_PHANTOM_REGIONS = ("head", "neck", "head and neck")
_SPINE = {
    "CT Cervical Spine": ("neck",),
    "CT Thoracic Spine": ("chest",),
    "CT Lumbar Spine": ("abdomen", "abdomen-pelvis"),
}


class DoseFactors(NamedTuple):
    """One published set: factors in mSv/(mGy·cm) by region and tabulated age (None: adult)."""

    name: str
    publication: str
    k: Mapping[tuple[str, float | None], float]
    confidence: str

    @property
    def ages(self) -> tuple[float, ...]:
        """Tabulated ages of children, years."""
        return tuple(sorted({a for _, a in self.k if a is not None}))

    def group(self, age_y: float) -> float | None:
        """Tabulated age nearest to an age; None for adults.

        Groups meet half-way between tabulated ages; adults begin at 18 years where the set
        has a value for 15 years, else at 15 (ours; the sets give ages only).
        """
        ages = self.ages
        adult_from = 18.0 if ages and ages[-1] >= 15 else 15.0
        if not ages or age_y >= adult_from:
            return None
        edges = [(a + b) / 2 for a, b in pairwise(ages)]
        return ages[bisect_right(edges, age_y)]


@cache
def dose_factors(name: str) -> DoseFactors:
    """A set of factors by its name in `FACTOR_SETS`."""
    start, weighting = FACTOR_SETS[name]
    rows = [
        r
        for r in read_table(tables_folder() / "dlp_to_effective_dose_k.csv")
        if r["source"].startswith(start) and r["weighting"] == weighting
    ]
    k = {(r["region"], _age(r["age"])): float(r["k_mSv_per_mGy_cm"]) for r in rows}
    worst = max((r["confidence"] for r in rows), key=_DOUBT.index)
    return DoseFactors(name, f"{rows[0]['source']}, {weighting}", k, worst)


_DOUBT = ("verified-in-source", "secondary-source", "from-memory")


def _age(text: str) -> float | None:
    return None if text == "adult" else float(text.removesuffix("y"))


def effective_dose(part: Part, factors: DoseFactors) -> DerivedValue | None:
    """Effective dose of an exam part in mSv; None for modalities we have no method for.

    Parameters
    ----------
    part
        Normalised, so that its body region and procedure are known.
    factors
        Set of k factors for CT.
    """
    if part.modality is Modality.CT:
        return _of_ct(part, factors)
    if part.modality in (Modality.XA, Modality.RF) and part.body_region == "heart":
        return _of_heart(part)
    return None


class _Share(NamedTuple):
    """DLP of one event, and its factor or why there is none."""

    dlp_mgy_cm: float
    k: float | None
    reason: str | None
    region: str | None = None


def _of_ct(part: Part, factors: DoseFactors) -> DerivedValue:
    formula = f"Σ k × DLP, {factors.publication}"
    age = part.patient.age_y
    if age is None:
        return not_known("the age of the patient is not known", formula, VERSION)
    if age < _adult_from(factors) and factors.name not in _WITH_CHILDREN:
        reason = "the set does not say on which phantom the DLP of children is"
        return not_known(reason, formula, VERSION, age_y=age)
    shares = [s for e in _events(part) if (s := _share(e, part, factors, age))]
    total = sum(s.dlp_mgy_cm for s in shares)
    if not total:
        return not_known("no acquisition states a DLP", formula, VERSION)
    lost = [s for s in shares if s.k is None]
    share = sum(s.dlp_mgy_cm for s in lost) / total
    if share > _LEFT_OUT_SHARE:
        reason = max(lost, key=lambda s: s.dlp_mgy_cm).reason or ""
        return not_known(reason, formula, VERSION, share_of_dlp=round(share, 4))
    value = sum(s.dlp_mgy_cm * s.k for s in shares if s.k is not None)
    regions = sorted({s.region for s in shares if s.region})
    group = factors.group(age)
    return known(
        value,
        formula,
        VERSION,
        factors=factors.name,
        confidence=factors.confidence,
        age_group="adult" if group is None else f"{group:g} y",
        regions=", ".join(regions),
        dlp_mgy_cm=round(total, 6),
        left_out_share=round(share, 6),
    )


def _adult_from(factors: DoseFactors) -> float:
    return 18.0 if factors.ages and factors.ages[-1] >= 15 else 15.0


def _events(part: Part) -> Sequence[CtEvent]:
    return [e for e in part.events if isinstance(e, CtEvent)]


def _share(event: CtEvent, part: Part, factors: DoseFactors, age: float) -> _Share | None:
    dlp = event.dlp_mgy_cm
    if not dlp:
        return None
    region, k = _factor(event, part, factors, factors.group(age))
    if region is None or k is None:
        where = part.body_region or "a region that is not known"
        return _Share(dlp, None, f"the set has no factor for {where}")
    wanted = _phantom_of(region, factors.group(age))
    if event.phantom is None:
        return _Share(dlp, None, "the phantom of the DLP is not stated", region)
    if event.phantom is not wanted:
        reason = f"the factor is for DLP on the {wanted} phantom, stated on {event.phantom}"
        return _Share(dlp, None, reason, region)
    return _Share(dlp, k, None, region)


def _phantom_of(region: str, group: float | None) -> Phantom:
    """Phantom the factors assume: 16 cm for children and for adults' heads and necks."""
    if group is not None or region in _HEAD_PHANTOM_REGIONS:
        return _CHILD
    return Phantom.BODY_32CM


def _factor(
    event: CtEvent, part: Part, factors: DoseFactors, group: float | None
) -> tuple[str | None, float | None]:
    for name in _candidates(event, part):
        if (k := factors.k.get((name, group))) is not None:
            return name, k
    return None, None


def _candidates(event: CtEvent, part: Part) -> tuple[str, ...]:
    if part.procedure_name in _SPINE:
        return _SPINE[part.procedure_name]
    own = region_of_code(event.target_region)
    parts = components(own or "") & components(part.body_region or "") if own else frozenset()
    # A scanner codes one region for a long scan: the exam's counts where it is the wider one.
    wide = components(part.body_region or "") if _is_single_scan(part) else components(own or "")
    for place in (wide, parts, components(part.body_region or "")):
        for region, names in _REGIONS:
            if place == region:
                return names
    return ()


def _is_single_scan(part: Part) -> bool:
    coded = {region_of_code(e.target_region) for e in _events(part)} - {None}
    return len(coded) < 2


@cache
def _by_copper() -> tuple[tuple[float, float], ...]:
    """Copper in mm and factor in mSv/(Gy·cm²), rising."""
    rows = read_table(tables_folder() / "kap_to_effective_dose.csv")
    start = "cardiac events, "
    return tuple(
        sorted(
            (
                float(r["projection_or_procedure"].removeprefix(start).split()[0]),
                float(r["mSv_per_Gy_cm2"]),
            )
            for r in rows
            if r["projection_or_procedure"].startswith(start)
        )
    )


_HEART = "Σ KAP × factor by added copper, Vano et al., Phys Med 68 (2019), cardiac"
_COPPER = codes.fold("66925006", "SCT")


def _of_heart(part: Part) -> DerivedValue:
    events = [e for e in part.events if isinstance(e, XRayEvent) and e.kap_gy_cm2]
    total = sum(e.kap_gy_cm2 or 0.0 for e in events)
    if part.patient.age_y is None or part.patient.age_y < 16:
        return not_known("the factors are for adults", _HEART, VERSION)
    if not total:
        return not_known("no event states a KAP", _HEART, VERSION)
    value = left_out = 0.0
    for event in events:
        factor = _at_copper(_copper_mm(event))
        if factor is None:
            left_out += event.kap_gy_cm2 or 0.0
        else:
            value += factor * (event.kap_gy_cm2 or 0.0)
    if left_out > _LEFT_OUT_SHARE * total:
        reason = "the added filtration is not stated, or beyond the table"
        return not_known(reason, _HEART, VERSION, share_of_kap=round(left_out / total, 4))
    return known(
        value,
        _HEART,
        VERSION,
        kap_gy_cm2=round(total, 9),
        left_out_share=round(left_out / total, 6),
        confidence="verified-in-source",
    )


def _copper_mm(event: XRayEvent) -> float | None:
    """Added copper of an event; 0 where filters are stated and none is copper."""
    if not event.filters:
        return None
    found = 0.0
    for layer in event.filters:
        material = layer.material
        if material and codes.fold(material.value, material.scheme) == _COPPER:
            thickness = layer.thickness_max_mm or layer.thickness_min_mm
            if thickness is None:
                return None
            found += thickness
    return found


def _at_copper(copper_mm: float | None) -> float | None:
    """Factor at a thickness, linear between the table's; None outside of it."""
    table = _by_copper()
    if copper_mm is None or copper_mm > table[-1][0]:
        return None
    for (low, at_low), (high, at_high) in pairwise(table):
        if low <= copper_mm <= high:
            return at_low + (at_high - at_low) * (copper_mm - low) / (high - low)
    return None
