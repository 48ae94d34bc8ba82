"""An adult protocol used on a child: found at the first patient, judged by name, use and dose.

Children need less radiation for the same image; a protocol made for adults gives them two to
four times of what they need. The rule looks at whom the protocol is made for, at the child's
size, and at the dose beside a yardstick for children of that size.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

from dose_lib.detect.case import Case, Confidence
from dose_lib.detect.detector import History
from dose_lib.detect.size import body_size
from dose_lib.detect.usage import read_usage
from dose_lib.detect.wording import describe
from dose_lib.detect.yardstick import measure_against, paediatric_levels
from dose_lib.normalise import Audience, diagnostic_events, protocol_class
from dose_lib.records import CtEvent, Finding, Modality, Part, Severity, finding_id
from dose_lib.reference import Level

# Ratios to the yardstick, all ours (detection.md §3: cause first). Paediatric levels are near
# the third quartile, so a usual dose is below 1 and an adult's on a child of 20 kg is 2 to 4.
_HIGH = 1.5  # with an adult name: certain
_HIGH_ALONE = 2.0  # without a telling name
_HIGH_FROM_AGE = 2.5  # ... and the weight only guessed from age
_ADULT_KV = 120.0  # of adult protocols; children of below 50 kg need 70 to 100 kV
_USUAL_HERE = 1.5  # below this the device's children get as much every day


class AdultProtocolOnChild:
    """The detector `adult_protocol_on_child`.

    Parameters
    ----------
    levels
        Library; its paediatric CTDIvol levels are the yardstick, signed off or not.
    country
        ISO code, for national levels.
    child_age_y
        Age at which a patient is an adult, years.

    Notes
    -----
    It keeps silent on adults, unknown ages, exams of localisers only, protocols named for
    children, phantoms and quality control, and on adolescents of adult size (from 50 kg, or 14
    years where no weight is known; heads from 6 years unless the dose stands out): an adult
    protocol fits them.
    """

    name = "adult_protocol_on_child"
    version = "1"

    def __init__(
        self, levels: Iterable[Level] = (), *, country: str = "GB", child_age_y: float = 16.0
    ) -> None:
        self._levels = paediatric_levels(levels, country)
        self._child_age_y = child_age_y

    def look(self, parts: Sequence[Part], history: History | None = None) -> tuple[Finding, ...]:
        """A finding for each part that looks like an adult protocol on a child."""
        cases = (self._case(part, history) for part in parts)
        return tuple(found for case in cases if case and (found := self._judge(case)))

    def _case(self, part: Part, history: History | None) -> Case | None:
        age = part.patient.age_y
        if part.modality is not Modality.CT or part.is_patient is False:
            return None
        if age is None or age >= self._child_age_y:
            return None
        events = tuple(diagnostic_events(part))
        size = body_size(part.patient, part.body_region)
        if not events or size is None:
            return None
        audience = protocol_class(_protocol_names(part, events))
        if audience.audience is Audience.PAEDIATRIC:
            return None
        on = date.max if part.started_at is None else part.started_at.date()
        measure = measure_against(self._levels, part, events, size, on)
        event = events[0] if measure is None else measure.event
        usage = read_usage(history, part, event, size, self._child_age_y)
        return Case(part, event, size, audience, measure, usage)

    def _judge(self, case: Case) -> Finding | None:
        confidence = _confidence(case)
        if confidence is None:
            return None
        told = describe(case, confidence)
        part, device = case.part, case.part.device
        model = " ".join(w for w in (device.manufacturer, device.model) if w)
        low = confidence is Confidence.LOW
        return Finding(
            finding_id=finding_id(self.name, part.part_key, self.version),
            detector=self.name,
            rule_version=self.version,
            severity=Severity.INFO if low else Severity.WARNING,
            subject=part.part_key,
            title=told.title,
            summary=told.summary,
            evidence=told.evidence,
            part_key=part.part_key,
            device_key=device.device_key,
            device=device.display_name or device.station_name or model or None,
            procedure_name=part.procedure_name,
            occurred_at=part.started_at,
        )


def _protocol_names(part: Part, events: Iterable[CtEvent]) -> list[str | None]:
    """Names of what was run.

    A description with ``^`` is a protocol's path (Siemens); any other is the request's and
    says whom the exam was for, not what was run.
    """
    names = [e.acquisition_protocol for e in events]
    path = part.study_description
    return [*names, path if path and "^" in path else None]


def _confidence(case: Case) -> Confidence | None:
    """How sure it is that an adult protocol was used; None for no finding."""
    ratio = case.ratio
    if case.size.is_adult:
        return _for_adult_size(case)
    if case.is_named_adult:
        if ratio is None:
            return Confidence.MEDIUM
        if ratio >= _HIGH:
            return Confidence.HIGH
        return Confidence.MEDIUM if ratio > 1 else Confidence.LOW
    return Confidence.MEDIUM if _stands_out(case) else None


def _for_adult_size(case: Case) -> Confidence | None:
    """A body of adult size takes an adult protocol; a head only where the dose stands out."""
    is_head = case.part.body_region == "head"
    if not is_head or case.ratio is None or case.ratio < _HIGH:
        return None
    return Confidence.MEDIUM if case.is_named_adult or _stands_out(case) else None


def _stands_out(case: Case) -> bool:
    """True if the dose alone tells an adult's protocol: no name, no history says otherwise."""
    if case.ratio is None:
        return False
    here = case.usage.ratio(case.event)
    if here is not None and here < _USUAL_HERE:
        return False
    if case.size.is_from_age and case.measure and case.measure.level.size_basis == "weight":
        return case.ratio >= _HIGH_FROM_AGE
    adult_voltage = case.event.kvp_kv is not None and case.event.kvp_kv >= _ADULT_KV
    return case.ratio >= (_HIGH if adult_voltage else _HIGH_ALONE)
