"""Exams that reached a trigger of their own: high skin dose, CT values of Dose Check.

Whoever was there was told by the machine; the finding sees to it that the dose is recorded, the
patient is followed up where that is due, and the cause is looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from dose_lib.compare import Crossed, Step, Trigger, crossed
from dose_lib.detect.detector import History
from dose_lib.records import CtEvent, Finding, Modality, Part, Severity, finding_id
from dose_lib.reference import Quantity

_NAMES = {
    Quantity.KA_R: "air kerma at the reference point",
    Quantity.KAP: "kerma-area product",
    Quantity.FLUORO_TIME: "fluoroscopy time",
    Quantity.CTDI_VOL: "CTDIvol",
    Quantity.DLP: "DLP",
}
_TITLES = {
    Step.NOTIFICATION: "Notification value reached",
    Step.ALERT: "Alert value exceeded",
    Step.SUBSTANTIAL: "Substantial radiation dose level reached",
}
_TODO = {
    Step.NOTIFICATION: "see whether patient, task or technique explains it",
    Step.ALERT: "find out why the scan went on past it, and record the reason",
    Step.SUBSTANTIAL: "record the dose, tell the referring physician and the patient, and arrange "
    "the follow-up of the skin that the site's procedure asks for",
}
_SEVERITY = {
    Step.NOTIFICATION: Severity.INFO,
    Step.ALERT: Severity.WARNING,
    Step.SUBSTANTIAL: Severity.WARNING,
}


class _Told(NamedTuple):
    """What a finding says of one step."""

    step: Step
    sentences: tuple[str, ...]
    evidence: Mapping[str, object]


class DoseTrigger:
    """The detector `dose_trigger`.

    Parameters
    ----------
    triggers
        As `compare.triggers_of` gives them; rows that are not verified in their source count,
        and the finding says so.
    child_age_y
        Age at which a patient is an adult, years.

    Notes
    -----
    One finding an exam and step: an exam that reaches the notification and, by a later report,
    the substantial level opens a second one. An exam that is known to have reached the graver
    step opens only that.
    """

    name = "dose_trigger"
    version = "1"

    def __init__(self, triggers: Iterable[Trigger], *, child_age_y: float = 16.0) -> None:
        self._triggers = tuple(triggers)
        self._child_age_y = child_age_y

    def look(self, parts: Sequence[Part], history: History | None = None) -> tuple[Finding, ...]:
        """A finding for each part that reached a trigger: of its gravest step."""
        told = ((part, self._tell(part)) for part in parts)
        return tuple(self._finding(part, what) for part, what in told if what is not None)

    def _tell(self, part: Part) -> _Told | None:
        found = crossed(part, self._triggers, child_age_y=self._child_age_y)
        scanner = () if part.is_patient is False else tuple(_own_checks(part))
        if not found and not scanner:
            return None
        steps = [c.trigger.step for c in found] + [step for step, _ in scanner]
        step = max(steps, key=list(Step).index)
        grave = {c.trigger.level.quantity for c in found if c.trigger.step is Step.SUBSTANTIAL}
        told = [
            _sentence(c)
            for c in found
            if c.trigger.step is Step.SUBSTANTIAL or c.trigger.level.quantity not in grave
        ]
        sentences = (*told, *(words for _, words in scanner))
        evidence: dict[str, object] = {
            "step": step.value,
            "reached": [_evidence(c) for c in found],
            "dose_check_of_the_scanner": [words for _, words in scanner],
        }
        return _Told(step, sentences, evidence)

    def _finding(self, part: Part, told: _Told) -> Finding:
        subject = f"{part.part_key}/{told.step.value}"
        device = part.device
        model = " ".join(w for w in (device.manufacturer, device.model) if w)
        what = part.procedure_name or part.modality.value
        return Finding(
            finding_id=finding_id(self.name, subject, self.version),
            detector=self.name,
            rule_version=self.version,
            severity=_SEVERITY[told.step],
            subject=subject,
            title=f"{_TITLES[told.step]}: {what}",
            summary=f"{' '.join(told.sentences)} What to do: {_TODO[told.step]}.",
            evidence=told.evidence,
            part_key=part.part_key,
            device_key=device.device_key,
            device=device.display_name or device.station_name or model or None,
            procedure_name=part.procedure_name,
            occurred_at=part.started_at,
        )


def _sentence(found: Crossed) -> str:
    level = found.trigger.level
    name = _NAMES.get(level.quantity, level.quantity.value)
    value, unit = _shown(found.value, level.unit)
    limit, _ = _shown(level.value, level.unit)
    again = f", {found.times} times with its increments" if found.times > 1 else ""
    sure = level.sign_off_reason
    doubt = f"; {sure} and not signed off here" if sure else ""
    return (
        f"{name[0].upper()}{name[1:]} {found.basis}: {value} {unit}; {found.trigger.step.value} "
        f"value {limit} {unit}{again} ({level.set_id} {level.edition}{doubt})."
    )


def _shown(value: float, unit: str) -> tuple[str, str]:
    """Number and unit as people say them: gray from 1 Gy on, minutes."""
    if unit == "s":
        return f"{value / 60:.4g}", "min"
    if unit == "mGy" and value >= 1000:
        return f"{value:,.0f}", unit
    return f"{value:.4g}", unit


def _evidence(found: Crossed) -> dict[str, object]:
    level = found.trigger.level
    return {
        "quantity": level.quantity.value,
        "value": found.value,
        "threshold": level.value,
        "unit": level.unit,
        "step": found.trigger.step.value,
        "times": found.times,
        "basis": found.basis,
        "row": level.row_id,
        "source": f"{level.set_id} {level.edition}",
        "confidence": level.confidence.value,
        "is_signed_off": level.is_signed_off,
    }


def _own_checks(part: Part) -> Iterable[tuple[Step, str]]:
    """What the scanner itself asked about before it went on (TID 10015, NEMA XR 25)."""
    if part.modality is not Modality.CT:
        return
    for event in part.events:
        check = event.dose_check if isinstance(event, CtEvent) else None
        if check is None:
            continue
        for step, quantity, limit, forecast in (
            (Step.ALERT, "CTDIvol", check.alert_ctdi_vol_mgy, check.alert_ctdi_vol_forward_mgy),
            (Step.ALERT, "DLP", check.alert_dlp_mgy_cm, check.alert_dlp_forward_mgy_cm),
            (Step.NOTIFICATION, "CTDIvol", check.notification_ctdi_vol_mgy,
             check.notification_ctdi_vol_forward_mgy),
            (Step.NOTIFICATION, "DLP", check.notification_dlp_mgy_cm,
             check.notification_dlp_forward_mgy_cm),
        ):  # fmt: skip
            if limit and forecast is not None and forecast > limit:
                unit = "mGy" if quantity == "CTDIvol" else "mGy.cm"
                yield (
                    step,
                    (
                        f"The scanner forecast {quantity} {forecast:.4g} {unit} and asked at its "
                        f"{step.value} value of {limit:.4g} {unit}; the scan went on."
                    ),
                )
