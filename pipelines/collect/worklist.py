"""Sizes from a modality worklist: what the order says the patient weighs (PS3.4 annex K).

Asked for a day at a time, for each modality that irradiates. Only patient ID, issuer, size
and the scheduled time are asked for: no names.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time

import msgspec
from pydicom import Dataset

from dose_lib import Settings
from dose_lib.derived import is_plausible
from dose_lib.records import SizeSource
from pipelines.collect.body import SizeOf
from pipelines.collect.line import WORKLIST, Line
from pipelines.collect.pacs import Worklist
from pipelines.collect.peer import Called
from pipelines.collect.sizes import Pseudonyms, SizeInbox

_STEP = "ScheduledProcedureStepSequence"
_METRES = 3.0  # taller is no person: what stands there is in centimetres


class WorklistSummary(msgspec.Struct, kw_only=True):
    """What a worklist had.

    Attributes
    ----------
    n_steps
        Scheduled steps that were answered.
    n_sizes
        Of these with a weight or a height that was kept.
    n_unused
        Of these with one that cannot be: no patient ID, or impossible.
    """

    name: str
    n_steps: int = 0
    n_sizes: int = 0
    n_unused: int = 0


def ask_worklist(worklist: Worklist, settings: Settings, days: Iterable[date]) -> WorklistSummary:
    """Ask a worklist for the sizes of the patients of some days, and keep them.

    Raises
    ------
    PeerError
        If it does not answer or refuses.
    """
    summary = WorklistSummary(name=worklist.name)
    pseudonyms, inbox = Pseudonyms(settings), SizeInbox(settings)
    with Line(_called(worklist, settings), (WORKLIST,)) as line:
        for day in days:
            found: list[SizeOf] = []
            for modality in worklist.modalities:
                asked = f"the worklist of {modality} of {day}"
                answers = line.find(
                    _query(day, modality),
                    asked,
                    model=WORKLIST,
                    most=worklist.max_answers,
                    limit_s=worklist.query_limit_s,
                )
                summary.n_steps += len(answers)
                for answer in answers:
                    size = _size(answer, day)
                    if isinstance(size, SizeOf):
                        found.append(size)
                    else:
                        summary.n_unused += size
            kept = pseudonyms.pseudonymise(found, SizeSource.WORKLIST, datetime.now(UTC))
            inbox.put(kept)
            summary.n_sizes += len(found)
    return summary


def _called(worklist: Worklist, settings: Settings) -> Called:
    return Called(
        name=worklist.name,
        ae_title=worklist.ae_title,
        host=worklist.host,
        port=worklist.port,
        calling=worklist.calling_ae_title or settings.ae_title,
        tls=worklist.tls,
        timeout_s=worklist.timeout_s,
        idle_limit_s=worklist.query_limit_s,
    )


def _query(day: date, modality: str) -> Dataset:
    query = Dataset()
    for keyword in ("PatientID", "IssuerOfPatientID"):
        setattr(query, keyword, "")
    query.PatientWeight = query.PatientSize = None
    step = Dataset()
    step.Modality = modality
    step.ScheduledProcedureStepStartDate = f"{day:%Y%m%d}"
    step.ScheduledProcedureStepStartTime = ""
    step.ScheduledStationAETitle = ""
    setattr(query, _STEP, [step])
    return query


def _size(answer: Dataset | None, day: date) -> SizeOf | bool:
    """A size; else whether one was there that cannot be used."""
    if answer is None:
        return False
    weight, height = _number(answer, "PatientWeight"), _number(answer, "PatientSize")
    if height is not None and height <= _METRES:
        height = float(f"{height * 100:.6g}")
    if weight is None and height is None:
        return False
    patient_id = str(answer.get("PatientID") or "").strip()
    if not patient_id or not is_plausible(weight, height):
        return True
    return SizeOf(
        patient_id=patient_id,
        issuer=str(answer.get("IssuerOfPatientID") or "").strip() or None,
        measured_at=_scheduled_at(answer, day),
        weight_kg=weight,
        height_cm=height,
    )


def _number(answer: Dataset, keyword: str) -> float | None:
    try:
        value = float(answer.get(keyword) or 0)
    except (TypeError, ValueError):
        return None
    return value or None


def _scheduled_at(answer: Dataset, day: date) -> datetime:
    """When the step is to begin: nothing says when the size was measured."""
    steps = answer.get(_STEP) or [Dataset()]
    digits = str(steps[0].get("ScheduledProcedureStepStartTime") or "")[:4]
    try:
        return datetime.combine(day, time(int(digits[:2] or 12), int(digits[2:4] or 0)))
    except ValueError:
        return datetime.combine(day, time(12))
