"""Everything we compute for one exam part, under the place the value would stand at."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from dose_lib.derived import ssde
from dose_lib.derived.effective_dose import DoseFactors, effective_dose
from dose_lib.derived.size import IS_STATED, OtherStudy, Size, measure_size
from dose_lib.derived.size import VERSION as SIZE_VERSION
from dose_lib.derived.slices import NOT_TRUNK, Means, is_slice, mean_sizes
from dose_lib.derived.values import known, not_known
from dose_lib.dicom.issues import KINDS
from dose_lib.normalise import diagnostic_events, is_diagnostic
from dose_lib.normalise.regions import components, region_of_code
from dose_lib.records import CtEvent, DerivedValue, Issue, Modality, Part, Phantom, SizeMethod

SIZE = "patient.water_equivalent_diameter_mm"
SSDE_MAX = "totals.ssde_max_mgy"
SSDE_MEAN = "totals.ssde_mean_mgy"
EFFECTIVE_DOSE = "totals.effective_dose_msv"
NAMES = (SIZE, SSDE_MAX, SSDE_MEAN, EFFECTIVE_DOSE)
"""Names of part-level values; SSDE of each event stands under ``events[n].ssde_mgy``, its own
diameter where images gave one under ``events[n].water_equivalent_diameter_mm``."""

ISSUES = ("size_cut_off", "size_not_measured")
_OF_EVENTS = ("].ssde_mgy", "].water_equivalent_diameter_mm")


def derive_part(
    part: Part,
    others: Sequence[OtherStudy] = (),
    *,
    factors: DoseFactors,
    adult_age_y: float = 16.0,
) -> Part:
    """A part with what we compute: size, SSDE, effective dose.

    Parameters
    ----------
    part
        Merged and normalised. Running it again on its own result changes nothing.
    others
        Other studies of the same patient with a weight.
    factors
        Set of factors of the effective dose, from `dose_factors`.
    adult_age_y
        Age at which a patient is an adult, years.

    Returns
    -------
    Part
        `derived` holds what reading computed, and ours. Phantoms and quality control have
        no patient, so nothing is computed for them.
    """
    kept = {n: v for n, v in part.derived.items() if not _is_ours(n)}
    issues = tuple(i for i in part.issues if i.code not in ISSUES)
    if part.is_patient is False:
        return msgspec.structs.replace(part, derived=kept, issues=issues)
    if part.modality is Modality.CT:
        means = mean_sizes(part)
        kept |= _of_ct(part, means, others, adult_age_y)
        issues += tuple(_issues(means))
    if (dose := effective_dose(part, factors)) is not None:
        kept[EFFECTIVE_DOSE] = dose
    return msgspec.structs.replace(part, derived=kept, issues=issues)


def _is_ours(name: str) -> bool:
    """True for what this module computed before; what was measured on images stays."""
    return not is_slice(name) and (name in NAMES or name.endswith(_OF_EVENTS))


def _of_ct(
    part: Part, means: Means, others: Sequence[OtherStudy], adult_age_y: float
) -> dict[str, DerivedValue]:
    of_exam = _as_size(means.of_exam)
    size = of_exam or measure_size(part, others, adult_age_y=adult_age_y)
    found = {SIZE: _as_value(size)}
    for place, value in means.of_events.items():
        found[f"events[{place}].water_equivalent_diameter_mm"] = value
    estimates: list[tuple[int, CtEvent, DerivedValue]] = []
    for place, event in enumerate(part.events):
        if isinstance(event, CtEvent) and is_diagnostic(event) and event.ctdi_vol_mgy is not None:
            own = _as_size(means.of_events.get(place))
            if own is None:
                own = measure_size(part, others, event=event, adult_age_y=adult_age_y)
                if of_exam and own.method not in IS_STATED and _is_there_too(event, part, means):
                    own = of_exam._replace(inputs={**of_exam.inputs, "size_of": "exam"})
            value = _ssde(event, part, own)
            found[f"events[{place}].ssde_mgy"] = value
            estimates.append((place, event, value))
    return found | _totals(estimates, part)


def _as_size(value: DerivedValue | None) -> Size | None:
    """A size from images; None where there is none."""
    if value is None or value.value is None:
        return None
    return Size(value.value, SizeMethod.IMAGE, value.formula, value.inputs)


def _is_there_too(event: CtEvent, part: Part, means: Means) -> bool:
    """True if the exam's images may show the region of an event that has none of its own."""
    here = _regions(event, part)
    measured = [part.events[n] for n, v in means.of_events.items() if v.value is not None]
    there = [_regions(e, part) for e in measured if isinstance(e, CtEvent)]
    return not here or not there or any(not other or here & other for other in there)


def _regions(event: CtEvent, part: Part) -> frozenset[str]:
    return frozenset(components(region_of_code(event.target_region) or part.body_region or ""))


def _issues(means: Means) -> Iterator[Issue]:
    """What a physicist should know of images that gave no size, or one in doubt."""
    for place, value in means.of_events.items() or ((None, means.of_exam),):
        if value is not None and (seen := _cut_off(value.inputs)):
            where = None if place is None else f"events[{place}]"
            yield _issue("size_cut_off", where, seen)
    for reason, n in sorted(means.not_measured.items()):
        yield _issue("size_not_measured", None, f"{n} image{'s' * (n > 1)}: {reason}")


def _cut_off(inputs: Mapping[str, float | str | None]) -> str | None:
    if inputs.get("confidence") == "high" or not inputs.get("n_truncated"):
        return None
    n, n_known = inputs["n_truncated"], inputs["n_slices"]
    return f"{n:g} of {float(n or 0) + float(n_known or 0):g} images cut the patient off"


def _issue(code: str, where: str | None, seen: str) -> Issue:
    kind = KINDS[code]
    return Issue(code=code, severity=kind.severity, where=where, seen=seen, message=kind.message)


def _as_value(size: Size) -> DerivedValue:
    if size.diameter_mm is None:
        return not_known(size.reason or "", size.formula, SIZE_VERSION)
    method = None if size.method is None else size.method.value
    inputs = {**size.inputs, "method": method}
    return known(size.diameter_mm, size.formula, SIZE_VERSION, **inputs)


def _ssde(event: CtEvent, part: Part, size: Size) -> DerivedValue:
    reason = _why_not(event, part, size)
    diameter, phantom, ctdi = size.diameter_mm, event.phantom, event.ctdi_vol_mgy
    if reason is not None or diameter is None or phantom is None or ctdi is None:
        return not_known(reason or "", ssde.FORMULA, ssde.VERSION)
    factor = ssde.conversion_factor(diameter / 10, phantom)
    if factor is None:
        told = f"{diameter / 10:.1f} cm is outside {ssde.factor_range(phantom)}"
        return not_known(told, ssde.FORMULA, ssde.VERSION)
    return known(
        factor * ctdi,
        ssde.FORMULA,
        ssde.VERSION,
        ctdi_vol_mgy=ctdi,
        phantom=phantom.value,
        diameter_mm=round(diameter, 6),
        method=size.method and size.method.value,
        factor=round(factor, 9),
        **{name: size.inputs[name] for name in _OF_SIZE if name in size.inputs},
    )


_OF_SIZE = ("size_of", "assigned_by", "confidence")


def _why_not(event: CtEvent, part: Part, size: Size) -> str | None:
    region = region_of_code(event.target_region) or part.body_region
    places = components(region or "")
    if places and places <= NOT_TRUNK:
        return f"AAPM 204 holds for the trunk, not for {region} (report 293 is not verified yet)"
    if event.phantom not in (Phantom.BODY_32CM, Phantom.HEAD_16CM):
        return "the CTDI phantom is not stated"
    if size.diameter_mm is None:
        return size.reason or "the size of the patient is not known"
    is_child = part.patient.age_y is not None and part.patient.age_y < 16.0
    if size.method is SizeMethod.AGE_BAND and not is_child:
        return "the size of the adult is known by age and sex only"
    return None


def _totals(
    estimates: Sequence[tuple[int, CtEvent, DerivedValue]], part: Part
) -> dict[str, DerivedValue]:
    largest, mean = "largest SSDE of the diagnostic acquisitions", "mean weighted by DLP"
    values = [(n, e, v.value, v) for n, e, v in estimates if v.value is not None]
    if not values:
        reasons = [str(v.inputs.get("reason")) for _, _, v in estimates]
        reason = reasons[0] if reasons else _nothing_to_estimate(part)
        return {
            SSDE_MAX: not_known(reason, largest, ssde.VERSION),
            SSDE_MEAN: not_known(reason, mean, ssde.VERSION),
        }
    place, _, top, source = max(values, key=lambda row: row[2])
    found = {
        SSDE_MAX: known(
            top, largest, ssde.VERSION, event=float(place), method=source.inputs.get("method")
        )
    }
    weights = [e.dlp_mgy_cm for _, e, _, _ in values]
    if len(values) == len(estimates) and all(weights):
        total = math.fsum(w or 0.0 for w in weights)
        sum_of = math.fsum(v * (w or 0.0) for (_, _, v, _), w in zip(values, weights, strict=True))
        found[SSDE_MEAN] = known(
            sum_of / total, mean, ssde.VERSION, n_events=float(len(values)),
            method=source.inputs.get("method"),
        )  # fmt: skip
    else:
        found[SSDE_MEAN] = not_known("not every acquisition has one", mean, ssde.VERSION)
    return found


def _nothing_to_estimate(part: Part) -> str:
    some = any(True for _ in diagnostic_events(part))
    return "no acquisition states CTDIvol" if some else "no diagnostic acquisition"
