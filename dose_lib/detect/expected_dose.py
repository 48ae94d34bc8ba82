"""Exams with a multiple of the dose that their procedure, device and patient's size usually get.

What is usual is learned from the site's own exams of the last year; size comes first, for large
patients cause most of the alarms that rest on a plain median (detection.md §1).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from dose_lib.compare import Expectation, multiples_of
from dose_lib.detect.arrivals import Span, read_span
from dose_lib.detect.detector import History
from dose_lib.detect.multiples import Dose, Likes, Neighbours, doses_of, read_neighbours
from dose_lib.normalise import DISAGREEMENTS
from dose_lib.records import Finding, Modality, Part, Severity, finding_id
from dose_lib.reference import Level, Quantity

# One row of the table serves the classes that are like it.
_LIKE = {Modality.XA: "RF", Modality.PT: "NM"}
ANSWERS = (
    "wrong protocol or setting",
    "exam was recorded as something else",
    "size of the patient is wrong or unusual",
    "repeats or further phases were needed",
    "difficult case",
    "dose report is wrong",
)


class _Told(NamedTuple):
    """One quantity of an exam that reached its multiple."""

    dose: Dose
    likes: Likes
    row: Level

    @property
    def expected(self) -> Expectation:
        return self.likes.expectation

    @property
    def multiple(self) -> float:
        return self.expected.multiple(self.dose.value)


class ExpectedDose:
    """The detector `expected_dose`.

    Parameters
    ----------
    levels
        Library; its triggers in the unit ``times`` are the multiples.
    sets
        Published sets that are looked at; the site's own rows always are.
    child_age_y
        Age at which a patient is an adult, years.
    minimum_n
        Exams an expectation rests on at least.

    Notes
    -----
    It keeps silent where size, procedure or enough other exams are missing; where the exam is
    known to be recorded as something else than was done, which is told in its own place; and on
    exams that are brought in later. A multiple that lies within what is usual for the procedure
    (three robust standard deviations) is none.
    """

    name = "expected_dose"
    version = "1"

    def __init__(
        self,
        levels: Iterable[Level],
        *,
        sets: Sequence[str] | None = None,
        child_age_y: float = 16.0,
        minimum_n: int = 20,
    ) -> None:
        self._rows = multiples_of(levels, sets)
        self._child_age_y = child_age_y
        self._minimum_n = minimum_n

    def look(self, parts: Sequence[Part], history: History | None = None) -> tuple[Finding, ...]:
        """A finding for each exam with a multiple of its expected dose."""
        own = [p for p in parts if self._is_judged(p)]
        if history is None or not own:
            return ()
        near = read_neighbours(
            history, own, child_age_y=self._child_age_y, minimum_n=self._minimum_n
        )
        told = [(part, what) for part in own if (what := self._tell(part, near))]
        if not told:
            return ()  # nearly always: the span is asked for only where there is something to tell
        span = read_span(history)
        return tuple(self._finding(part, what) for part, what in told if _is_recent(part, span))

    def _is_judged(self, part: Part) -> bool:
        modality = _LIKE.get(part.modality, part.modality)
        is_known = any(of == modality for of, _ in self._rows)
        named = part.procedure_name is not None and part.started_at is not None
        return named and is_known and part.is_patient is not False

    def _tell(self, part: Part, near: Neighbours) -> list[_Told]:
        """What was reached, the largest multiple first."""
        row = near.row_of(part)
        if row is None or not row["sizes"]:
            return []
        found = []
        for dose in doses_of(row):
            limit = self._rows.get((_LIKE.get(part.modality, part.modality), dose.quantity))
            if limit is None or (_is_by_extent(dose) and _is_told_elsewhere(part)):
                continue
            likes = near.expectation(row, dose)
            if likes is not None and likes.expectation.is_reached(dose.value, limit.value):
                found.append(_Told(dose, likes, limit))
        return sorted(found, key=lambda t: t.multiple, reverse=True)

    def _finding(self, part: Part, told: Sequence[_Told]) -> Finding:
        device = part.device
        model = " ".join(w for w in (device.manufacturer, device.model) if w)
        first = told[0]
        return Finding(
            finding_id=finding_id(self.name, part.part_key, self.version),
            detector=self.name,
            rule_version=self.version,
            severity=Severity.WARNING,
            subject=part.part_key,
            title=f"{first.multiple:.1f} times the expected dose: {part.procedure_name}",
            summary=f"{' '.join(_sentence(t) for t in told)} Likely cause: {_causes(first)[0]}. "
            "What to do: compare the protocol's parameters with the usual ones, and answer this "
            "finding with what it was.",
            evidence=_evidence(part, told),
            part_key=part.part_key,
            device_key=device.device_key,
            device=device.display_name or device.station_name or model or None,
            procedure_name=part.procedure_name,
            occurred_at=part.started_at,
        )


def _is_recent(part: Part, span: Span) -> bool:
    return part.started_at is not None and span.is_recent(part.started_at.replace(tzinfo=None))


def _is_by_extent(dose: Dose) -> bool:
    """True where more that was done makes a larger value; a CTDIvol is of one acquisition."""
    return dose.quantity is not Quantity.CTDI_VOL


def _is_told_elsewhere(part: Part) -> bool:
    """True for an exam that was recorded as something else than was done."""
    return any(issue.code in DISAGREEMENTS for issue in part.issues)


def _sentence(told: _Told) -> str:
    dose, expected = told.dose, told.expected
    low, high = expected.usual
    group = "this device" if told.likes.group == "device" else "devices of this model"
    name = f"{dose.words[0].upper()}{dose.words[1:]}"
    return (
        f"{name} was {dose.value:.4g} {dose.unit}, {told.multiple:.1f} times the "
        f"{expected.value:.4g} {dose.unit} expected for {expected.size.in_words()} by "
        f"{expected.n} exams of {group}; nearly all lie between {low:.3g} and {high:.3g} "
        f"(told from {told.row.value:g} times, {told.row.set_id} {told.row.edition})."
    )


def _causes(told: _Told) -> list[str]:
    """Causes in order of likelihood (detection.md §2)."""
    if told.dose.quantity is Quantity.CTDI_VOL:
        return [
            "a wrong protocol or parameter for this patient",
            "the size of the patient is wrong",
            "the patient was not centred",
        ]
    if told.dose.quantity is Quantity.ACTIVITY:
        return ["a wrong activity was drawn up", "the activity was recorded wrongly"]
    causes = ["more was done than the procedure names", "repeats"]
    return [*causes, "a wrong protocol or parameter", "the size of the patient is wrong"]


def _evidence(part: Part, told: Sequence[_Told]) -> Mapping[str, object]:
    size = told[0].expected.size
    return {
        "reached": [_numbers(t) for t in told],
        "size_basis": size.basis.value,
        "size": size.value,
        "size_method": size.method,
        "age_y": part.patient.age_y,
        "weight_kg": part.patient.weight_kg,
        "causes": _causes(told[0]),
        "answers": list(ANSWERS),
    }


def _numbers(told: _Told) -> dict[str, object]:
    expected = told.expected
    low, high = expected.usual
    return {
        "quantity": told.dose.quantity.value,
        "value": told.dose.value,
        "unit": told.dose.unit,
        "expected": expected.value,
        "multiple": told.multiple,
        "threshold_multiple": told.row.value,
        "n": expected.n,
        "group": told.likes.group,
        "method": "Theil-Sen regression of log dose on size" if expected.slope else "median",
        "slope_of_log": expected.slope,
        "usual_low": low,
        "usual_high": high,
        "row": told.row.row_id,
        "source": f"{told.row.set_id} {told.row.edition}",
        "confidence": told.row.confidence.value,
    }
